// kube-proxy's configuration: values in use, refused values, and messages.
#include "plugin/settings/kube_proxy_config.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <random>
#include <string>
#include <vector>

#include "plugin/settings/load.h"
#include "plugin/settings/merge.h"
#include "test/unit/settings/recorded.h"

namespace nmanager {
using namespace nmanager::settings;
namespace {

const std::string kHead =
    "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n";

/// The values in use, in one line: only differences from an empty file.
std::string taken(const KubeProxyConfig& config) {
  std::string text;
  const auto add = [&](const std::string& word) { text += (text.empty() ? "" : " ") + word; };
  if (config.pod_cidr_ipv4) add(to_string(*config.pod_cidr_ipv4));
  if (config.pod_cidr_ipv6) add(to_string(*config.pod_cidr_ipv6));
  if (config.mode != ProxyMode::kAuto) add(std::string(to_string(config.mode)));
  if (config.iptables_masquerade_bit) add("bit=" + std::to_string(*config.iptables_masquerade_bit));
  if (config.nftables_masquerade_bit) add("nft=" + std::to_string(*config.nftables_masquerade_bit));
  if (!config.metrics_address.empty()) add("at=" + config.metrics_address);
  if (!config.detect_local_mode.empty()) add("local=" + config.detect_local_mode);
  if (!config.kubeconfig.empty()) add("kubeconfig=" + config.kubeconfig);
  if (config.tcp_be_liberal) add(*config.tcp_be_liberal ? "liberal" : "strict");
  for (const std::string& problem : config.problems) add("! " + problem);
  return text;
}

TEST_CASE("the values used from the file") {
  struct Case {
    std::string yaml;
    std::string expected;
  };
  const std::vector<Case> cases{
      {"", ""},
      {"clusterCIDR: 10.244.0.0/16", "10.244.0.0/16"},
      {"clusterCIDR: \"10.244.0.0/16,fd00::/56\"", "10.244.0.0/16 fd00::/56"},
      {"clusterCIDR: fd00::/56, 10.244.0.0/16", "10.244.0.0/16 fd00::/56"},
      {"clusterCIDR: fd00::/56", "fd00::/56"},
      {"clusterCIDR: 10.244.3.0/16", "10.244.0.0/16"},
      {"clusterCIDR: \"\"", ""},
      {"clusterCIDR:", ""},
      {"clusterCIDR: 10.2", "! clusterCIDR: '10.2' is not a CIDR such as 10.244.0.0/16"},
      {"clusterCIDR: 0.0.0.0/0", "! clusterCIDR: '0.0.0.0/0' would take everybody for a pod"},
      {"clusterCIDR: ::/0", "! clusterCIDR: '::/0' would take everybody for a pod"},
      {"clusterCIDR: 10.0.0.0/16,10.1.0.0/16",
       "10.0.0.0/16 ! clusterCIDR: '10.1.0.0/16' is a second block of its family"},
      {"clusterCIDR: [10.0.0.0/16]", "! clusterCIDR: is not a plain value"},
      {"clusterCIDR: {a: b}", "! clusterCIDR: is not a plain value"},
      {"mode: ipvs", "ipvs"},
      {"mode: iptables", "iptables"},
      {"mode: nftables", "nftables"},
      {"mode: \"\"", "iptables"},
      {"mode:", ""},
      {"mode: IPVS", "! mode: 'IPVS' is not known"},
      {"mode: userspace", "! mode: 'userspace' is not known"},
      {"mode: ip", "! mode: 'ip' is not known"},
      {"iptables: {masqueradeBit: 15}", "bit=15"},
      {"nftables: {masqueradeBit: 0}", "nft=0"},
      {"iptables:\n  masqueradeBit: null", ""},
      {"iptables: {masqueradeBit: 32}", "! iptables.masqueradeBit: '32' is not a number 0..31"},
      {"iptables: {masqueradeBit: x}", "! iptables.masqueradeBit: 'x' is not a number 0..31"},
      {"iptables: text", "! iptables.masqueradeBit: is not where it should be"},
      {"iptables: [1, 2]", "! iptables.masqueradeBit: is not where it should be"},
      {"metricsBindAddress: 127.0.0.1:9999", "at=127.0.0.1:9999"},
      {"metricsBindAddress: 0.0.0.0:10249", "at=127.0.0.1:10249"},
      {"metricsBindAddress: \"[::]:1\"", "at=127.0.0.1:1"},
      {"metricsBindAddress: \"[::1]:1\"", "at=[::1]:1"},
      {"metricsBindAddress: 127.0.0.1", "at=127.0.0.1:10249"},
      {"metricsBindAddress: \"::1\"", "at=[::1]:10249"},
      {"metricsBindAddress: localhost:1",
       "! metricsBindAddress: 'localhost:1' is not ADDRESS:PORT (an address, not a name)"},
      {"metricsBindAddress: \"\"\nbindAddress: \"::\"", "at=[::1]:10249"},
      {"bindAddress: 0.0.0.0", ""},
      {"bindAddress: nonsense", ""},
      {"detectLocalMode: NodeCIDR", "local=NodeCIDR"},
      {"detectLocalMode: ClusterCIDR", "local=ClusterCIDR"},
      {"detectLocalMode: nodecidr", "! detectLocalMode: 'nodecidr' is not known"},
      {"clientConnection: {kubeconfig: /x}", "kubeconfig=/x"},
      {"clientConnection: {kubeconfig: \"/x\\n/y\"}",
       "! clientConnection.kubeconfig: is not a plain value"},
      {"conntrack: {tcpBeLiberal: true}", "liberal"},
      {"conntrack: {tcpBeLiberal: false}", "strict"},
      {"conntrack: {tcpBeLiberal: maybe}",
       "! conntrack.tcpBeLiberal: 'maybe' is neither true nor false"},
      {"conntrack: &a [*a]", "! conntrack.tcpBeLiberal: is not where it should be"},
      {"futureField: {with: [anything]}\nmode: ipvs", "ipvs"},
      {"mode: ipvs\nclusterCIDR: nonsense\niptables: {masqueradeBit: 3}",
       "ipvs bit=3 ! clusterCIDR: 'nonsense' is not a CIDR such as 10.244.0.0/16"},
  };
  for (const Case& one : cases) {
    const auto config = parse_kube_proxy_config(kHead + one.yaml);
    REQUIRE_MESSAGE(config.ok(), one.yaml, ": ", config.error().message);
    CHECK_MESSAGE(taken(*config) == one.expected, one.yaml);
  }
}

TEST_CASE("an invalid file is reported in one line") {
  struct Case {
    std::string text;
    std::string named;
  };
  const std::vector<Case> cases{
      {"", "mapping"},
      {"\n# nothing\n", "mapping"},
      {"- a\n- b\n", "mapping"},
      {"just words", "mapping"},
      {"mode: ipvs\n", "is it complete"},
      {"kind: Deployment\nmode: ipvs\n", "'Deployment'"},
      {"kind: [KubeProxyConfiguration]\n", "kind"},
      {kHead + "mode: \"ip", "not YAML: line "},
      {kHead + "mode: \"", "not YAML"},
      {kHead + "mode: '\n", "not YAML"},
      {kHead + "mode: {", "not YAML"},
      {kHead + "a: b: c", "not YAML"},
      {kHead + "\tmode: ipvs", "not YAML"},
      {kHead + "mode: *nowhere", "not YAML"},
      {std::string(50'000, '['), "not YAML"},
      {std::string(kMaxConfigBytes + 1, ' '), "larger"},
      {std::string("\x7f\x45\x4c\x46\x00\x01\x02", 7), ""},
      {"\xff\xfe\x00k", ""},
  };
  for (const Case& one : cases) {
    const auto config = parse_kube_proxy_config(one.text);
    REQUIRE_FALSE_MESSAGE(config.ok(), one.text.substr(0, 60));
    CHECK_MESSAGE(config.error().message.find(one.named) != std::string::npos,
                  config.error().message);
    CHECK(config.error().message.find('\n') == std::string::npos);
    CHECK(config.error().message.size() < 300);
  }
}

TEST_CASE("a bomb of aliases costs nothing") {
  std::string bomb = kHead + "a: &a [x, x, x, x, x, x, x, x, x]\n";
  for (char name = 'b'; name <= 'z'; ++name) {
    const std::string last(1, static_cast<char>(name - 1));
    bomb += std::string(1, name) + ": &" + name + " [";
    for (int i = 0; i < 9; ++i) bomb += (i == 0 ? "*" : ", *") + last;
    bomb += "]\n";
  }
  const auto config = parse_kube_proxy_config(bomb + "clusterCIDR: *z\nmode: ipvs\n");
  REQUIRE_MESSAGE(config.ok(), config.error().message);
  CHECK(taken(*config) == "ipvs ! clusterCIDR: is not a plain value");
}

TEST_CASE("kubeadm's file truncated anywhere gives correct values or none") {
  // Values for which a truncated number or word could be mistaken.
  std::string text = test::kubeadm_file("config.conf");
  text = test::with(text, "mode: \"\"", "mode: \"ipvs\"");
  text = test::with(text, "metricsBindAddress: \"\"", "metricsBindAddress: \"127.0.0.1:10249\"");
  text = test::with(text, "masqueradeBit: null", "masqueradeBit: 15");
  const auto whole = parse_kube_proxy_config(text);
  REQUIRE(whole.ok());
  REQUIRE(taken(*whole) ==
          "10.244.0.0/16 ipvs bit=15 at=127.0.0.1:10249 "
          "kubeconfig=/var/lib/kube-proxy/kubeconfig.conf strict");
  std::size_t refused = 0;
  for (std::size_t length = 0; length < text.size(); ++length) {
    const auto cut = parse_kube_proxy_config(text.substr(0, length));
    if (!cut) {
      ++refused;
      continue;
    }
    CAPTURE(length);
    CHECK(cut->pod_cidr_ipv4 == whole->pod_cidr_ipv4);
    CHECK((cut->mode == ProxyMode::kIpvs || cut->mode == ProxyMode::kAuto));
    CHECK(cut->iptables_masquerade_bit == 15);
    CHECK((cut->metrics_address.empty() || cut->metrics_address == whole->metrics_address));
  }
  CHECK(refused > text.size() / 2);
}

TEST_CASE("any text is read or refused, without a crash") {
  std::mt19937 random(7);
  const std::string original = test::kubeadm_file("config.conf");
  const std::string alphabet = "{}[]:,-#&*!|>'\"%@` \n\t?~<kindmode0123456789./\x01\xff";
  for (int round = 0; round < 3000; ++round) {
    std::string text = round % 3 == 0 ? kHead : original;
    for (auto edits = random() % 12 + 1; edits > 0; --edits) {
      const std::size_t at = random() % (text.size() + 1);
      const std::size_t length = random() % 20;
      std::string piece;
      for (auto i = random() % 8; i > 0; --i) piece += alphabet[random() % alphabet.size()];
      text.replace(at, std::min(length, text.size() - at), piece);
    }
    const auto config = parse_kube_proxy_config(text);
    if (!config) {
      CHECK(config.error().message.find('\n') == std::string::npos);
      continue;
    }
    for (const std::string& problem : config->problems) {
      CHECK(problem.find('\n') == std::string::npos);
    }
  }
}

Settings own_settings() {
  const char* const argv[] = {"nmanager"};
  return *parse_settings(1, argv, {});
}

KubeProxyFiles files_of(const std::string& yaml) {
  KubeProxyFiles files;
  files.config = parse_kube_proxy_config(kHead + yaml);
  REQUIRE(files.config.ok());
  return files;
}

TEST_CASE("the masquerade bit is the one of the mode") {
  const std::string bits = "iptables: {masqueradeBit: 3}\nnftables: {masqueradeBit: 5}\n";
  const auto bit = [&](const std::string& yaml, ProxyMode forced = ProxyMode::kAuto) {
    Settings own = own_settings();
    if (forced != ProxyMode::kAuto) own.proxy_mode = {forced, Origin::kFlag};
    return merge_kube_proxy_files(own, files_of(yaml)).masquerade_bit.value;
  };
  CHECK(bit(bits + "mode: ipvs") == 3);
  CHECK(bit(bits + "mode: iptables") == 3);
  CHECK(bit(bits + "mode: nftables") == 5);
  CHECK(bit(bits) == 3);
  CHECK(bit(bits + "mode: nftables", ProxyMode::kIpvs) == 3);
  CHECK(bit(bits + "mode: ipvs", ProxyMode::kNftables) == 5);
  CHECK(bit("mode: nftables\niptables: {masqueradeBit: 3}") == 14);
  CHECK(bit("mode: ipvs\nnftables: {masqueradeBit: 3}") == 14);
}

TEST_CASE("local detection by another method than the cluster CIDR is read") {
  const auto mode = [&](const std::string& yaml) {
    const Settings merged = merge_kube_proxy_files(own_settings(), files_of(yaml));
    CHECK(merged.notes.empty());  // it is reported where it matters: in IPVS mode
    return merged.detect_local_mode;
  };
  CHECK(mode("clusterCIDR: 10.0.0.0/8").empty());
  CHECK(mode("detectLocalMode: ClusterCIDR") == "ClusterCIDR");
  CHECK(mode("detectLocalMode: NodeCIDR") == "NodeCIDR");
}

TEST_CASE("a file that becomes unreadable keeps its previous values") {
  const Settings own = own_settings();
  const KubeProxyFiles good = files_of("clusterCIDR: 10.0.0.0/8\nmode: ipvs\n");
  KubeProxyFiles bad;
  bad.config = Error{ErrorKind::kBadInput, "/x/config.conf: is not YAML"};
  const Settings kept = merge_kube_proxy_files(own, keep_last_good(good, bad));
  CHECK(kept.pod_cidr_ipv4.value == Prefix::parse("10.0.0.0/8"));
  CHECK(kept.config_mode == ProxyMode::kIpvs);
  REQUIRE(kept.notes.size() == 1);
  CHECK(kept.notes[0].code == WarningCode::kConfigUnreadable);
  CHECK(kept.notes[0].text.find("/x/config.conf: is not YAML") != std::string::npos);
  // Twice in a row; then it is valid again, with fewer values.
  const Settings still =
      merge_kube_proxy_files(own, keep_last_good(keep_last_good(good, bad), bad));
  CHECK(still.pod_cidr_ipv4.value == Prefix::parse("10.0.0.0/8"));
  const Settings again = merge_kube_proxy_files(
      own, keep_last_good(keep_last_good(good, bad), files_of("mode: ipvs")));
  CHECK_FALSE(again.pod_cidr_ipv4.value);
  CHECK(again.notes.empty());
  // Never valid: defaults, and a note.
  const Settings never = merge_kube_proxy_files(own, keep_last_good(bad, bad));
  CHECK_FALSE(never.pod_cidr_ipv4.value);
  CHECK(never.notes.size() == 1);
}

TEST_CASE("which kubeconfig") {
  const test::TemporaryDirectory directory;
  const std::string other = directory.write("other.conf", "x");
  Settings own = own_settings();
  own.kube_proxy_config.value = (directory.path() / "config.conf").string();
  const auto effective = [&] { return merge_kube_proxy_files(own, read_kube_proxy_files(own)); };
  CHECK(effective().kubeconfig.value == "");  // the service account
  directory.write("config.conf", kHead + "clientConnection: {kubeconfig: /does/not/exist}\n");
  CHECK(effective().kubeconfig.value == "");
  REQUIRE(effective().remarks.size() == 1);  // the service account may be sufficient
  CHECK(effective().remarks[0].find("/does/not/exist") != std::string::npos);
  const std::string beside = directory.write("kubeconfig.conf", "x");
  CHECK(effective().kubeconfig.value == beside);
  directory.write("config.conf", kHead + "clientConnection: {kubeconfig: " + other + "}\n");
  CHECK(effective().kubeconfig.value == other);
  CHECK(effective().notes.empty());
  own.kubeconfig = {"/mine", Origin::kFlag};
  CHECK(effective().kubeconfig.value == "/mine");
}

TEST_CASE("paths that are not regular files") {
  const test::TemporaryDirectory directory;
  Settings own = own_settings();
  const auto error_of = [&](const std::string& path) {
    own.kube_proxy_config.value = path;
    const auto files = read_kube_proxy_files(own);
    REQUIRE_FALSE(files.config.ok());
    const Settings settings = merge_kube_proxy_files(own, files);
    const bool absent = files.config.error().kind == ErrorKind::kAbsent;
    CHECK(settings.notes.size() == (absent ? 0 : 1));
    CHECK(settings.remarks.size() == (absent ? 1 : 0));
    Settings named = own;
    named.kube_proxy_config.origin = Origin::kFlag;
    CHECK(merge_kube_proxy_files(named, files).notes.size() == 1);
    CHECK(files.config.error().message.find(path) != std::string::npos);
    return files.config.error().kind;
  };
  CHECK(error_of((directory.path() / "none").string()) == ErrorKind::kAbsent);
  CHECK(error_of((directory.path() / "none/below").string()) == ErrorKind::kAbsent);
  CHECK(error_of(directory.path().string()) == ErrorKind::kBadInput);
  CHECK(error_of("/dev/zero") == ErrorKind::kBadInput);
  const std::string pipe = (directory.path() / "pipe").string();
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  CHECK(error_of(pipe) == ErrorKind::kBadInput);
  CHECK(error_of(directory.write("huge", std::string(3 * kMaxConfigBytes, '#'))) ==
        ErrorKind::kBadInput);
  std::filesystem::create_symlink("loop", directory.path() / "loop");
  CHECK(error_of((directory.path() / "loop").string()) == ErrorKind::kUnavailable);
}

}  // namespace
}  // namespace nmanager
