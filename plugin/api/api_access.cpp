#include "plugin/api/api_access.h"

#include <filesystem>

#include "hooks/sys/small_file.h"
#include "hooks/values/address.h"
#include "hooks/values/text.h"
#include "plugin/api/server_url.h"

namespace nmanager::api {

namespace {

constexpr std::size_t kMaxCredentialBytes = std::size_t{1} << 20;

bool is_loopback(const ServerUrl& url) {
  return equal_ignoring_case(url.host, "localhost") || (url.address && url.address->is_loopback());
}

/// One entry of NO_PROXY: "*", an address, a block, a domain and its subdomains.
bool excludes(std::string_view entry, const ServerUrl& url) {
  if (entry == "*") return true;
  if (const auto block = Prefix::parse(entry)) return url.address && block->contains(*url.address);
  const std::string with_port = url.host + ':' + std::to_string(url.port);
  if (equal_ignoring_case(entry, url.host) || equal_ignoring_case(entry, with_port)) return true;
  if (entry.starts_with("*.")) entry.remove_prefix(1);
  const bool whole = !entry.starts_with('.');
  const std::string suffix = (whole ? "." : "") + std::string(entry);
  return !entry.empty() && url.host.size() > suffix.size() &&
         equal_ignoring_case(std::string_view(url.host).substr(url.host.size() - suffix.size()),
                             suffix);
}

}  // namespace

std::string proxy_of(const ApiAccess& access, const Environment& environment) {
  if (!access.proxy_url.empty()) return access.proxy_url;
  const auto url = parse_server_url(access.server);
  if (!url || is_loopback(*url)) return {};
  const auto either = [&](const char* upper, const char* lower) {
    std::string value = environment(upper);
    return value.empty() ? environment(lower) : value;
  };
  const std::string none = either("NO_PROXY", "no_proxy");
  std::string_view rest = none;
  while (!rest.empty()) {
    const auto comma = rest.find(',');
    if (excludes(trimmed(rest.substr(0, comma)), *url)) return {};
    rest.remove_prefix(comma == std::string_view::npos ? rest.size() : comma + 1);
  }
  return url->tls ? either("HTTPS_PROXY", "https_proxy") : either("HTTP_PROXY", "http_proxy");
}

std::vector<std::string> warnings_of(const ApiAccess& access) {
  std::vector<std::string> warnings;
  const auto url = parse_server_url(access.server);
  if (!url) return warnings;
  const std::string server = "API server " + to_string(*url) + ": ";
  if (!url->tls) {
    const bool secret = !access.token.empty() || !access.token_file.empty();
    warnings.push_back(server + (secret ? "http: the token is sent in clear text"
                                        : "http: the API server is not authenticated"));
  } else if (access.insecure) {
    warnings.push_back(server + "insecure-skip-tls-verify: any server is accepted");
  }
  return warnings;
}

std::string server_in_words(const ApiAccess& access, const std::string& proxy) {
  const auto url = parse_server_url(access.server);
  std::string text = url ? to_string(*url) : std::string("(no usable URL)");
  if (proxy.empty()) return text;
  const auto via =
      parse_server_url(proxy.find("://") == std::string::npos ? "http://" + proxy : proxy);
  return text + " through " + (via ? "the proxy " + to_string(*via) : std::string("a proxy"));
}

std::vector<Endpoint> server_endpoints(const ApiAccess& access) {
  const auto url = parse_server_url(access.server);
  if (!url || !url->address) return {};
  return {{*url->address, url->port}};
}

Result<std::string> read_credential_file(const std::string& path) {
  return sys::read_small_file(path, kMaxCredentialBytes);
}

Result<std::string> PemSource::read() const {
  if (!data.empty()) return data;
  return read_credential_file(file);
}

Result<ApiAccess> in_cluster_access(const std::string& host, const std::string& port,
                                    const std::string& folder) {
  if (host.empty() || port.empty()) {
    return Error{ErrorKind::kAbsent,
                 "no kubeconfig, and no service account: KUBERNETES_SERVICE_HOST and "
                 "KUBERNETES_SERVICE_PORT are not set"};
  }
  std::error_code error;
  if (!std::filesystem::exists(folder + "/token", error)) {
    return Error{ErrorKind::kAbsent,
                 "no kubeconfig, and no service account: " + folder + "/token does not exist"};
  }
  const auto address = Address::parse(host);
  const bool bracketed = address && address->family() == Family::kIpv6;
  ApiAccess access;
  access.server = "https://" + (bracketed ? '[' + host + ']' : host) + ':' + port;
  access.ca.file = folder + "/ca.crt";
  access.token_file = folder + "/token";
  return access;
}

}  // namespace nmanager::api
