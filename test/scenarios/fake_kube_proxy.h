// kube-proxy as nmanager sees it: chains, and two answers over HTTP.
#pragma once

#include <string>
#include <utility>

#include "test/scenarios/node.h"

namespace nmanager::test {

class FakeKubeProxy {
 public:
  explicit FakeKubeProxy(const Node& node) : node_(node), site_(node.folder() + "/kube-proxy") {
    node.sh("mkdir " + site_);
  }
  FakeKubeProxy(const FakeKubeProxy&) = delete;
  FakeKubeProxy& operator=(const FakeKubeProxy&) = delete;
  ~FakeKubeProxy() { stop(); }

  void start(const std::string& mode) {
    answer("proxyMode", mode);
    pid_ = must("cd " + site_ +
                "; python3 -m http.server --bind 127.0.0.1 10249 >/dev/null 2>&1 </dev/null & "
                "echo $!");
  }
  void stop() {
    if (!pid_.empty()) run("kill " + std::exchange(pid_, ""));
  }
  /// The answer to GET /`path` from now on.
  void answer(const std::string& path, const std::string& body) {
    must("cat >" + site_ + "/new; mv " + site_ + "/new " + site_ + "/" + path, body);
  }
  void set_metrics(const std::string& lines) {
    answer("metrics", "kubeproxy_network_programming_duration_seconds_count 1\n" + lines);
  }

  /// The table of its nftables mode, whose existence alone matters.
  void have_native_table(bool have) {
    run("nft delete table ip kube-proxy");
    if (!have) return;
    node_.sh("nft -f -",
             "table ip kube-proxy {\nchain services {\n}\nchain nat-prerouting {\ntype nat hook "
             "prerouting priority -100\njump services\n}\n}\n");
  }

  /// Removes only the jumps to its chains.
  void remove_jumps() {
    for (const std::string tables : {"iptables", "ip6tables"}) {
      for (const std::string hook : {"PREROUTING", "OUTPUT"}) {
        node_.sh(tables + " -t nat -D " + hook + " -j KUBE-SERVICES");
      }
    }
  }

  /// Writes its chains as iptables and IPVS mode do, jumps included.
  void sync(const std::string& content) {
    for (const std::string tables : {"iptables", "ip6tables"}) {
      node_.sh(tables + "-restore --noflush",
               "*nat\n:KUBE-SERVICES - [0:0]\n:KUBE-MARK-MASQ - [0:0]\n"
               "-A KUBE-SERVICES -m mark --mark 0x99 -m comment --comment \"" +
                   content +
                   "\" -j RETURN\n"
                   "-A KUBE-MARK-MASQ -j MARK --or-mark 0x4000\nCOMMIT\n");
      for (const std::string hook : {"PREROUTING", "OUTPUT"}) {
        node_.sh(tables + " -t nat -C " + hook + " -j KUBE-SERVICES 2>/dev/null || " + tables +
                 " -t nat -I " + hook + " -j KUBE-SERVICES");
      }
    }
  }
  /// KUBE-FORWARD of its iptables mode, with the rule that drops INVALID packets or without.
  void have_forward_chain(bool drops) {
    for (const std::string tables : {"iptables", "ip6tables"}) {
      node_.sh(
          tables + "-restore --noflush",
          std::string("*filter\n:KUBE-FORWARD - [0:0]\n") +
              (drops ? "-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP\n" : "") +
              "-A KUBE-FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\nCOMMIT\n");
      node_.sh(tables + " -C FORWARD -j KUBE-FORWARD 2>/dev/null || " + tables +
               " -I FORWARD -j KUBE-FORWARD");
    }
  }
  void remove_forward_chain() {
    for (const std::string tables : {"iptables", "ip6tables"}) {
      node_.sh(tables + " -C FORWARD -j KUBE-FORWARD 2>/dev/null || exit 0; " + tables +
               " -D FORWARD -j KUBE-FORWARD; " + tables + " -F KUBE-FORWARD; " + tables +
               " -X KUBE-FORWARD");
    }
  }

  /// A veth: only the name matters, and not every kernel has dummy devices.
  void have_ipvs_device(bool wanted) {
    node_.sh(wanted ? "ip link show kube-ipvs0 >/dev/null 2>&1 || "
                      "ip link add kube-ipvs0 type veth peer name kube-ipvs0p"
                    : "ip link del kube-ipvs0");
  }
  /// As nftables mode does at its start.
  void remove_chains() {
    for (const std::string tables : {"iptables", "ip6tables"}) {
      for (const std::string hook : {"PREROUTING", "OUTPUT"}) {
        node_.sh(tables + " -t nat -D " + hook + " -j KUBE-SERVICES");
      }
      node_.sh(tables + "-restore --noflush",
               "*nat\n:KUBE-SERVICES - [0:0]\n:KUBE-MARK-MASQ - [0:0]\n"
               "-X KUBE-SERVICES\n-X KUBE-MARK-MASQ\nCOMMIT\n");
    }
  }

 private:
  const Node& node_;
  std::string site_;
  std::string pid_;
};

}  // namespace nmanager::test
