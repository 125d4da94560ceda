#include "plugin/settings/kube_proxy_config.h"

#include <yaml-cpp/yaml.h>

#include <array>
#include <cstdint>
#include <utility>

#include "plugin/settings/parse.h"

namespace nmanager::settings {

namespace {

constexpr std::uint16_t kMetricsPort = 10249;  // ports.ProxyStatusPort in Kubernetes

Error bad(std::string message) {
  return Error{ErrorKind::kBadInput, std::move(message)};
}

/// Access by name that does not throw on a node of the wrong type.
class Reader {
 public:
  Reader(const YAML::Node& root, std::vector<std::string>& problems)
      : root_(root), problems_(problems) {}

  /// The value of `key` or of `section.key`; nullopt if absent or null.
  [[nodiscard]] std::optional<std::string> text(const std::string& path) {
    YAML::Node node = root_;
    for (std::size_t at = 0; at <= path.size();) {
      const std::size_t dot = std::min(path.find('.', at), path.size());
      if (!node.IsMap()) {
        if (!node.IsNull()) problem(path, "is not where it should be");
        return std::nullopt;
      }
      const YAML::Node child = std::as_const(node)[path.substr(at, dot - at)];
      if (!child.IsDefined() || child.IsNull()) return std::nullopt;
      node.reset(child);
      at = dot + 1;
    }
    if (node.IsScalar() && is_printable(node.Scalar())) return node.Scalar();
    problem(path, "is not a plain value");
    return std::nullopt;
  }

  void problem(const std::string& path, const std::string& what) {
    problems_.push_back(path + ": " + what);
  }

 private:
  YAML::Node root_;
  std::vector<std::string>& problems_;
};

void read_pod_cidrs(Reader& reader, KubeProxyConfig& config) {
  const auto text = reader.text("clusterCIDR");
  if (!text) return;
  for (std::string_view rest = *text; !rest.empty();) {
    const std::size_t comma = std::min(rest.find(','), rest.size());
    const std::string_view item = trimmed(rest.substr(0, comma));
    rest.remove_prefix(std::min(comma + 1, rest.size()));
    const auto any = Prefix::parse(item);
    const Family family = any ? any->family() : Family::kIpv4;
    const auto block = parse_pod_cidr(family, item);
    if (!block) {
      reader.problem("clusterCIDR", block.error().message);
      continue;
    }
    auto& slot = family == Family::kIpv4 ? config.pod_cidr_ipv4 : config.pod_cidr_ipv6;
    if (slot) {
      reader.problem("clusterCIDR", in_quotes(item) + " is a second block of its family");
    } else {
      slot = *block;
    }
  }
}

void read_mode(Reader& reader, KubeProxyConfig& config) {
  const auto text = reader.text("mode");
  if (!text) return;
  // As kube-proxy, which accepts exactly these words.
  for (const ProxyMode mode : {ProxyMode::kIptables, ProxyMode::kIpvs, ProxyMode::kNftables}) {
    if (*text == to_string(mode)) config.mode = mode;
  }
  if (text->empty()) config.mode = ProxyMode::kIptables;
  if (config.mode == ProxyMode::kAuto) reader.problem("mode", in_quotes(*text) + " is not known");
}

std::optional<int> read_bit(Reader& reader, const std::string& path) {
  const auto text = reader.text(path);
  if (!text) return std::nullopt;
  const auto bit = parse_number(*text, 0, 31);
  if (bit) return *bit;
  reader.problem(path, bit.error().message);
  return std::nullopt;
}

Address loopback(Family family) {
  return *Address::parse(family == Family::kIpv4 ? "127.0.0.1" : "::1");
}

/// The address for requests to a server that listens on `bound`. With [::] Go listens on both
/// families.
Address reachable(const Address& bound) {
  return bound.is_unspecified() ? loopback(Family::kIpv4) : bound;
}

/// The defaults are those of kube-proxy (pkg/proxy/apis/config/v1alpha1/defaults.go): loopback of
/// bindAddress' family, and the port is optional.
void read_metrics_address(Reader& reader, KubeProxyConfig& config) {
  const std::string text = reader.text("metricsBindAddress").value_or("");
  if (text.empty()) {
    const auto bind = Address::parse(reader.text("bindAddress").value_or(""));
    if (bind && bind->family() == Family::kIpv6) {
      config.metrics_address = to_string(Endpoint{loopback(Family::kIpv6), kMetricsPort});
    }
    return;
  }
  if (const auto address = Address::parse(text)) {
    config.metrics_address = to_string(Endpoint{reachable(*address), kMetricsPort});
    return;
  }
  const auto endpoint = parse_endpoint(text);
  if (!endpoint) return reader.problem("metricsBindAddress", endpoint.error().message);
  config.metrics_address = to_string(Endpoint{reachable(endpoint->address), endpoint->port});
}

void read_detect_local_mode(Reader& reader, KubeProxyConfig& config) {
  constexpr std::array<std::string_view, 5> kKnown{"", "ClusterCIDR", "NodeCIDR", "BridgeInterface",
                                                   "InterfaceNamePrefix"};
  const std::string text = reader.text("detectLocalMode").value_or("");
  if (std::find(kKnown.begin(), kKnown.end(), text) == kKnown.end()) {
    return reader.problem("detectLocalMode", in_quotes(text) + " is not known");
  }
  config.detect_local_mode = text;
}

void read_be_liberal(Reader& reader, KubeProxyConfig& config) {
  const auto text = reader.text("conntrack.tcpBeLiberal");
  if (!text) return;
  if (*text == "true" || *text == "false") {
    config.tcp_be_liberal = *text == "true";
  } else {
    reader.problem("conntrack.tcpBeLiberal", in_quotes(*text) + " is neither true nor false");
  }
}

Result<KubeProxyConfig> read_config(const YAML::Node& root) {
  KubeProxyConfig config;
  Reader reader(root, config.problems);
  if (!root.IsMap()) return bad("is no YAML mapping");
  const std::string kind = reader.text("kind").value_or("");
  if (kind != "KubeProxyConfiguration") {
    return bad("has not the kind KubeProxyConfiguration" +
               (kind.empty() ? std::string(" (is it complete?)") : ", but " + in_quotes(kind)));
  }
  read_pod_cidrs(reader, config);
  read_mode(reader, config);
  config.iptables_masquerade_bit = read_bit(reader, "iptables.masqueradeBit");
  config.nftables_masquerade_bit = read_bit(reader, "nftables.masqueradeBit");
  read_metrics_address(reader, config);
  read_detect_local_mode(reader, config);
  read_be_liberal(reader, config);
  config.kubeconfig = reader.text("clientConnection.kubeconfig").value_or("");
  return config;
}

}  // namespace

Result<KubeProxyConfig> parse_kube_proxy_config(std::string_view text) {
  if (text.size() > kMaxConfigBytes)
    return bad("is larger than " + std::to_string(kMaxConfigBytes) + " bytes");
  try {
    // yaml-cpp 0.7 treats the end of the text as the end of a quoted word if only blanks follow the
    // quote; with a comment at the end it detects the missing quote.
    return read_config(YAML::Load(std::string(text) + "\n#"));
  } catch (const YAML::Exception& error) {
    return bad("is not YAML: line " + std::to_string(error.mark.line + 1) + ": " + error.msg);
  } catch (const std::exception& error) {
    return bad("could not be read: " + in_quotes(error.what()));
  }
}

}  // namespace nmanager::settings
