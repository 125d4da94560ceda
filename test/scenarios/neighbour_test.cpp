// kube-proxy as a neighbour: its mode, its own reports, its files, and everything that can go wrong
// with them.
#include <doctest/doctest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <utility>
#include <vector>

#include "test/scenarios/fake_kube_proxy.h"
#include "test/scenarios/network.h"
#include "test/unit/neighbour/scripted_server.h"

namespace nmanager::test {
using namespace nmanager::settings;
namespace {

/// kube-proxy's files as the kubelet writes a ConfigMap volume: all are swapped at once, by a
/// symlink.
class ConfigMap {
 public:
  explicit ConfigMap(const Node& node) : folder_(node.folder() + "/var") {
    std::filesystem::create_directory(folder_);
  }
  [[nodiscard]] std::string path(const std::string& file) const { return folder_ / file; }

  void write(const std::string& config, const std::string& kubeconfig) {
    const std::string version = "..version-" + std::to_string(++versions_);
    std::filesystem::create_directory(folder_ / version);
    std::ofstream(folder_ / version / "config.conf") << config;
    std::ofstream(folder_ / version / "kubeconfig.conf") << kubeconfig;
    std::filesystem::create_directory_symlink(version, folder_ / "..data_tmp");
    std::filesystem::rename(folder_ / "..data_tmp", folder_ / "..data");
    for (const char* file : {"config.conf", "kubeconfig.conf"}) {
      if (!std::filesystem::is_symlink(folder_ / file)) {
        std::filesystem::create_symlink(std::filesystem::path("..data") / file, folder_ / file);
      }
    }
  }

 private:
  std::filesystem::path folder_;
  int versions_ = 0;
};

std::string config_of(const std::string& more) {
  return "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n" + more;
}

std::string kubeconfig_of(const ApiServer& server) {
  return "current-context: c\ncontexts: [{name: c, context: {cluster: c}}]\n"
         "clusters: [{name: c, cluster: {server: '" +
         server.url() + "'}}]\n";
}

/// Flags that leave all settings to kube-proxy's files.
std::vector<std::string> by_files(const ConfigMap& files) {
  return {"--kube-proxy-config", files.path("config.conf"),
          "--kubeconfig",        "",
          "--proxy-mode",        "auto",
          "--pod-cidr-ipv4",     "",
          "--pod-cidr-ipv6",     ""};
}

/// Of a rule for the pods' half.
std::string from_pods(const std::string& cidr) {
  return native() ? "ip saddr " + cidr + " ip daddr" : "-s " + cidr + " -d 192.0.2.10";
}

bool has_rule(const Node& node, const std::string& part) {
  return node.our_rules().find(part) != std::string::npos;
}

bool shows(const Sidecar& sidecar, const std::string& path, const std::string& part) {
  return sidecar.get(path).find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("kube-proxy changes its mode, and the external-cluster rules follow") {
  Node node;
  if (!node.usable()) return;
  node.api().services().put(to_json({"web", {"10.96.0.10"}, {"192.0.2.10"}, {"TCP:80"}}));
  FakeKubeProxy kube_proxy(node);
  kube_proxy.start("ipvs");
  const Sidecar sidecar(node, {"--proxy-mode", "auto"});
  const auto in_place = [&](bool ipvs) {
    const std::string ours = node.our_rules();
    return translate(ours) == ipvs && drop_invalid(ours);
  };
  int syncs = 0;
  for (const std::string mode : {"ipvs", "iptables", "ipvs", "nftables", "ipvs"}) {
    CAPTURE(mode);
    kube_proxy.answer("proxyMode", mode);
    kube_proxy.have_ipvs_device(mode == "ipvs");
    kube_proxy.have_native_table(mode == "nftables");
    // A sync, or the removal of its chains, makes nmanager ask at once.
    mode == "nftables" ? kube_proxy.remove_chains() : kube_proxy.sync(std::to_string(++syncs));
    const std::string theirs = node.foreign_rules();
    CHECK_MESSAGE(eventually([&] { return in_place(mode == "ipvs"); }), sidecar.log());
    CHECK(node.foreign_rules() == theirs);
    CHECK_MESSAGE(eventually([&] { return sidecar.ready(); }), sidecar.get("/readyz?verbose"));
    CHECK(sidecar.metric("nmanager_kube_proxy_mode", "mode=\"" + mode + "\"") == 1);
  }
  const std::string before = node.our_rules();
  const std::string theirs = node.foreign_rules();
  // An unknown mode is not "not IPVS": existing rules stay, and the unknown mode is reported.
  kube_proxy.stop();
  REQUIRE(eventually(
      [&] { return sidecar.get("/readyz?verbose").find("[i]proxy-mode") != std::string::npos; }));
  CHECK(node.our_rules() == before);
  CHECK(node.foreign_rules() == theirs);
  CHECK(sidecar.ready());
}

TEST_CASE("kube-proxy moves to nftables mode and back, and no connection is reset") {
  if (variant() == "legacy") return;  // kube-proxy's nftables mode needs nf_tables
  Node node;
  if (!node.usable()) return;
  Network network(node);
  FakeKubeProxy kube_proxy(node);
  kube_proxy.start("iptables");
  kube_proxy.sync("first");
  const Sidecar sidecar(node, {"--backend", "auto", "--proxy-mode", "auto"});
  const auto kept_by = [&](const std::string& name) {
    return shows(sidecar, "/readyz?verbose", "[+]backend ok: " + name);
  };
  REQUIRE_MESSAGE(eventually([&] { return kept_by("iptables-nft") && sidecar.settled(); }),
                  sidecar.log());
  int port = 7100;
  for (const std::string mode : {"nftables", "iptables", "nftables"}) {
    CAPTURE(mode);
    const std::string name = mode == "nftables" ? "nftables" : "iptables-nft";
    kube_proxy.answer("proxyMode", mode);
    kube_proxy.have_native_table(mode == "nftables");
    if (mode == "nftables") {
      kube_proxy.remove_chains();
    } else {
      kube_proxy.sync(std::to_string(port));
    }
    bool moved = false;
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(40);
    while (!moved && std::chrono::steady_clock::now() < until) {
      moved = kept_by(name) && sidecar.settled();
      for (const std::string address : {"203.0.113.2", "fd13::2"}) {
        CHECK_MESSAGE(network.connection_with_forged_segment(address, ++port) == 0, sidecar.log());
      }
    }
    CHECK_MESSAGE(moved, sidecar.get("/readyz?verbose"));
    // Exactly one of the two exists.
    CHECK(eventually([&] {
      const bool table = run("nft list table inet nmanager").exit_code == 0;
      const bool chains = run("iptables-nft -S NMANAGER_INPUT").exit_code == 0;
      return table == (mode == "nftables") && chains == (mode == "iptables");
    }));
    CHECK_MESSAGE(eventually([&] { return sidecar.ready(); }), sidecar.get("/readyz?verbose"));
  }
}

TEST_CASE("kube-proxy's files change on disk: settings and API client follow") {
  Node node;
  if (!node.usable()) return;
  node.api().services().put(to_json({"one", {"10.96.0.10"}, {"192.0.2.10"}, {"TCP:80"}}));
  ApiServer other;
  other.services().put(to_json({"two", {"10.96.0.20"}, {"192.0.2.20"}, {"TCP:80"}}));
  const std::string ipvs = "mode: ipvs\nclusterCIDR: 10.244.0.0/16\n";
  ConfigMap files(node);
  files.write(config_of(ipvs), kubeconfig_of(node.api()));
  const Sidecar sidecar(node, by_files(files));
  REQUIRE_MESSAGE(eventually([&] { return has_rule(node, "192.0.2.10"); }), sidecar.log());
  CHECK(has_rule(node, from_pods("10.244.0.0/16")));
  CHECK(shows(sidecar, "/status?settings", "pod-cidr-ipv4 = 10.244.0.0/16 (kube-proxy config)"));
  CHECK(sidecar.log().find("pod-cidr-ipv4=10.244.0.0/16 (kube-proxy config)") != std::string::npos);
  CHECK(sidecar.log().find("log-level=info (default)") != std::string::npos);

  files.write(config_of("mode: ipvs\nclusterCIDR: 10.1.0.0/16\nmetricsBindAddress: 127.0.0.1:1\n"),
              kubeconfig_of(node.api()));
  CHECK(eventually([&] { return has_rule(node, from_pods("10.1.0.0/16")); }));
  CHECK_FALSE(has_rule(node, "10.244.0.0/16"));
  CHECK(eventually([&] { return shows(sidecar, "/readyz?verbose", "127.0.0.1:1/proxyMode"); }));
  CHECK(sidecar.log().find(
            "pod-cidr-ipv4 is now 10.1.0.0/16 (kube-proxy config), was 10.244.0.0/16") !=
        std::string::npos);
  CHECK(sidecar.metric("nmanager_api_lists_total") == 1);  // the API client has continued

  // Half written: reported, and the running client continues.
  files.write(config_of(ipvs), "current-context: c\ncontexts: [{name: c, cont");
  CHECK(
      eventually([&] { return shows(sidecar, "/readyz?verbose", "access to the API server: "); }));
  node.api().services().put(to_json({"three", {"10.96.0.30"}, {"192.0.2.30"}, {"TCP:80"}}));
  CHECK(eventually([&] { return has_rule(node, "192.0.2.30"); }));

  // Another server: its list replaces everything, and no event of the old server is used after it.
  files.write(config_of(ipvs), kubeconfig_of(other));
  CHECK_MESSAGE(eventually([&] { return has_rule(node, "192.0.2.20"); }), sidecar.log());
  CHECK_FALSE(has_rule(node, "192.0.2.10"));
  const std::string connections =
      "ss -Htn state established dport = :" + std::to_string(node.api().port());
  CHECK_MESSAGE(eventually([&] { return must(connections).empty(); }), must(connections));
  node.api().services().put(to_json({"late", {"10.96.0.40"}, {"192.0.2.40"}, {"TCP:80"}}));
  other.services().put(to_json({"four", {"10.96.0.50"}, {"192.0.2.50"}, {"TCP:80"}}));
  CHECK(eventually([&] { return has_rule(node, "192.0.2.50"); }));
  CHECK_FALSE(has_rule(node, "192.0.2.40"));
  CHECK_FALSE(shows(sidecar, "/readyz?verbose", "access to the API server: "));
  CHECK(shows(sidecar, "/status?settings", other.url()));
}

TEST_CASE("files that appear late, and files that are not valid") {
  Node node;
  if (!node.usable()) return;
  node.api().services().put(to_json({"web", {"10.96.0.10"}, {"192.0.2.10"}, {"TCP:80"}}));
  ConfigMap files(node);
  const Sidecar sidecar(node, by_files(files));
  // Missing: nothing is known, but the INVALID rule is in place.
  REQUIRE_MESSAGE(eventually([&] { return has_rule(node, "INVALID"); }), sidecar.log());
  CHECK(eventually([&] { return shows(sidecar, "/readyz?verbose", "config.conf: No such file"); }));
  const std::string good = config_of("mode: ipvs\nclusterCIDR: 10.244.0.0/16\n");
  files.write(good, kubeconfig_of(node.api()));
  REQUIRE_MESSAGE(eventually([&] { return has_rule(node, "192.0.2.10"); }), sidecar.log());
  const std::string rules = node.our_rules();
  for (const std::string& bad :
       {std::string(), std::string("kind: KubeProxyConfiguration\nmode: [ip"),
        std::string("\0\xff", 2), good.substr(0, good.find("kind")), std::string(200'000, 'x'),
        std::string("- a\n- b\n")}) {
    CAPTURE(bad.substr(0, 40));
    files.write(bad, kubeconfig_of(node.api()));
    CHECK(eventually([&] {
      return shows(sidecar, "/readyz?verbose",
                   "kube-proxy's configuration cannot be read any more");
    }));
    CHECK(node.our_rules() == rules);
    files.write(good, kubeconfig_of(node.api()));
    CHECK(
        eventually([&] { return !shows(sidecar, "/readyz?verbose", "cannot be read any more"); }));
  }
  CHECK(node.our_rules() == rules);
  CHECK(sidecar.alive());
}

TEST_CASE("whatever kube-proxy's endpoint answers: one line, no crash, no wrong rule") {
  Node node;
  if (!node.usable()) return;
  node.api().services().put(to_json({"web", {"10.96.0.10"}, {"192.0.2.10"}, {"TCP:80"}}));
  struct Case {
    const char* what;
    Reply reply;
    const char* told;
  };
  for (const Case& c :
       {Case{"hangs", {"", 1, true}, "no response within"},
        Case{"garbage", {"\x01\x02 garbage\r\n\r\n"}, "not an HTTP response"},
        Case{"another word", ok("userspace\nipvs"), "is not a mode"},
        Case{"10 MB", ok(std::string(10 << 20, 'i')), "the response is larger than"},
        Case{"10 MB without a length",
             {"HTTP/1.1 200 OK\r\n\r\n" + std::string(1 << 20, 'i'), 10},
             "the response is larger than"},
        Case{"500", {"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"}, "status 500"}}) {
    CAPTURE(std::string(c.what));
    const ScriptedServer server([&](std::string_view) { return c.reply; });
    const Sidecar sidecar(
        node, {"--proxy-mode", "auto", "--kube-proxy-metrics", to_string(server.endpoint())});
    CHECK(eventually([&] { return shows(sidecar, "/readyz?verbose", c.told); }));
    const std::string text = sidecar.get("/readyz?verbose");
    CHECK_MESSAGE(text.find("[i]kube-proxy failed: ") != std::string::npos, text);
    CHECK(text.find('\x01') == std::string::npos);
    CHECK(has_rule(node, "INVALID"));
    CHECK_FALSE(has_rule(node, "DNAT"));
    CHECK(sidecar.alive());
  }
}

TEST_CASE("states of kube-proxy: synced, down, never synced, unreadable, jumps gone") {
  Node node;
  if (!node.usable()) return;
  FakeKubeProxy kube_proxy(node);
  kube_proxy.start("iptables");
  const auto synced_now = [&] {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    kube_proxy.set_metrics("kubeproxy_sync_proxy_rules_last_timestamp_seconds " +
                           std::to_string(std::chrono::duration<double>(now).count()) + "\n");
  };
  kube_proxy.set_metrics("");
  const Sidecar sidecar(node, {"--proxy-mode", "auto"});
  const auto state_is = [&](const std::string& state, const std::string& words) {
    const bool found = eventually(
        [&] {
          return sidecar.metric("nmanager_kube_proxy_state", "state=\"" + state + "\"") == 1 &&
                 shows(sidecar, "/readyz?verbose", words) && shows(sidecar, "/status", words);
        },
        std::chrono::seconds(30));
    CHECK_MESSAGE(found, state << ": " << sidecar.get("/readyz?verbose"));
  };
  state_is("never_synced", "it has not synced since it started");
  CHECK_FALSE(sidecar.ready());
  kube_proxy.sync("1");
  synced_now();
  state_is("synced", "was verified ");
  CHECK(eventually([&] { return sidecar.ready(); }));
  const auto lag = sidecar.metric("nmanager_kube_proxy_sync_verified_lag_seconds", "ipv4");
  REQUIRE(lag.has_value());
  CHECK(*lag >= 0);
  CHECK(*lag < 15);

  node.sh("iptables -t mangle -N KUBE-PROXY-CANARY");
  kube_proxy.remove_jumps();
  state_is("jumps_gone", "kubernetes/kubernetes#129128");
  node.sh("iptables -t mangle -X KUBE-PROXY-CANARY");
  state_is("jumps_gone", "at its next full sync");
  kube_proxy.sync("2");
  synced_now();
  state_is("synced", "was verified ");

  kube_proxy.answer("metrics", "go_goroutines 7\n");
  kube_proxy.sync("3");  // makes it ask
  state_is("metrics_unreadable", "no metrics of kube-proxy");
  kube_proxy.stop();
  kube_proxy.sync("4");
  state_is("down", "while its chains exist");
  CHECK(sidecar.ready());  // existing rules do not depend on it
  kube_proxy.remove_chains();
  state_is("not_started", "it has not started yet");
}

TEST_CASE("a pod CIDR that does not cover this node's pods is reported") {
  Node node;
  if (!node.usable()) return;
  node.api().set_nodes(
      R"({"kind":"NodeList","items":[{"spec":{"podCIDRs":["10.99.3.0/24","fd44:0:0:3::/64"]}}]})");
  node.sh(
      "ip link add cni0 type veth peer name eth7; ip link set cni0 up; ip link set eth7 up;"
      "ip addr add 10.98.0.1/24 dev cni0");
  ::setenv("NODE_NAME", "node-1", 1);  // as the manifests do; without it no Node is requested
  const Sidecar sidecar(node);
  ::unsetenv("NODE_NAME");
  for (const std::string& note :
       {std::string("the pod CIDR 10.244.0.0/16 does not cover this node's podCIDR 10.99.3.0/24"),
        std::string("does not cover the pods' route 10.98.0.0/24 over cni0")}) {
    CHECK_MESSAGE(eventually([&] { return shows(sidecar, "/status", note); }),
                  sidecar.get("/status"));
  }
  CHECK_FALSE(shows(sidecar, "/status", "fd44:0:0:3::/64"));
}

}  // namespace nmanager::test
