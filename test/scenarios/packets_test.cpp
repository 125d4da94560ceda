// Real packets: connections that fail without the rules work with them, and no others change.
#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <optional>

#include "test/scenarios/network.h"

namespace nmanager::test {
namespace {

std::string ask(const std::string& protocol, const std::string& address, int port) {
  return kScripts + "echo.py ask " + protocol + " " + address + " " + std::to_string(port);
}

/// Where packets to cluster and external addresses go.
void add_service_network(const Node& node, const Network& network) {
  // There is no IPVS, so the cluster addresses are real addresses of the outside.
  node.sh(network.outside("ip addr add 10.96.0.10/32 dev lo"));
  node.sh(network.outside("ip addr add fd96::10/128 dev lo nodad"));
  node.sh(network.outside("ip route add blackhole 192.0.2.0/24"));
  node.sh(network.outside("ip -6 route add blackhole 2001:db8::/64"));
  node.sh("ip route add 10.96.0.0/16 via 203.0.113.2; ip route add 192.0.2.0/24 via 203.0.113.2");
  node.sh("ip -6 route add fd96::/64 via fd13::2; ip -6 route add 2001:db8::/64 via fd13::2");
  // As kube-proxy masquerades packets with its mark.
  for (const std::string tables : {"iptables", "ip6tables"}) {
    node.sh(tables + " -t nat -A POSTROUTING -m mark --mark 0x4000/0x4000 -j MASQUERADE");
  }
}

/// A program in the background that prints lines; ends with this object.
class Flow {
 public:
  Flow(const Node& node, const std::string& command, const std::string& where)
      : output_(node.folder() + "/flow" + (where.empty() ? "-node" : "-pod")),
        pid_(must(where + command + " >" + output_ + " 2>/dev/null </dev/null & echo -n $!")) {}
  Flow(const Flow&) = delete;
  Flow& operator=(const Flow&) = delete;
  ~Flow() { run("kill " + pid_); }

  [[nodiscard]] std::string last() const {
    std::ifstream in(output_);
    std::string last;
    for (std::string line; std::getline(in, line);) last = line.substr(line.find(": ") + 2);
    return last;
  }

 private:
  std::string output_;
  std::string pid_;
};

}  // namespace

TEST_CASE("problem 1: a segment that conntrack calls INVALID no longer kills the connection") {
  Node node;
  if (!node.usable()) return;
  Network network(node);
  int port = 7000;
  for (const std::string address : {"203.0.113.2", "fd13::2"}) {
    CAPTURE(address);
    CHECK(network.connection_with_forged_segment(address, ++port) == 10);
  }
  const Sidecar sidecar(node);
  REQUIRE_MESSAGE(eventually([&] { return sidecar.settled(); }), sidecar.log());
  for (const std::string address : {"203.0.113.2", "fd13::2"}) {
    CAPTURE(address);
    CHECK(network.connection_with_forged_segment(address, ++port) == 0);
  }
  for (const std::string family : {"ipv4", "ipv6"}) {
    CHECK(eventually(
        [&] { return sidecar.metric("nmanager_invalid_packets_dropped_total", family) >= 1; },
        std::chrono::seconds(40)));
  }
}

TEST_CASE("exempt packets are not dropped, others are") {
  Node node;
  if (!node.usable()) return;
  Network network(node);
  const std::string exempt = "iface:eth9,src:203.0.113.0/24,dst:2001:db8::/32";
  const Sidecar sidecar(node, {"--rule-drop-invalid-input-exempt", exempt});
  REQUIRE_MESSAGE(eventually([&] { return sidecar.settled(); }), sidecar.log());
  CHECK(network.connection_with_forged_segment("203.0.113.2", 7301) == 10);
  CHECK(network.connection_with_forged_segment("fd13::2", 7302) == 0);
  CHECK(sidecar.get("/status?settings").find(exempt) != std::string::npos);
}

TEST_CASE("problem 2: external addresses from a pod and from the node, and nothing else") {
  Node node;
  if (!node.usable()) return;
  Network network(node);
  add_service_network(node, network);
  network.start_outside(kScripts + "echo.py serve 10.96.0.10 80 53 81");
  network.start_outside(kScripts + "echo.py serve fd96::10 80 53 81");
  node.api().services().put(to_json(
      {"web", {"10.96.0.10", "fd96::10"}, {"192.0.2.10", "2001:db8::10"}, {"TCP:80", "UDP:53"}}));
  struct Case {
    const char* protocol;
    const char* address;
    int port;
    const char* at;       // who answers
    const char* node_as;  // as whom the answering side sees the node and the pod
  };
  const std::vector<Case> cases{
      {"tcp", "192.0.2.10", 80, "10.96.0.10", "203.0.113.1"},
      {"udp", "192.0.2.10", 53, "10.96.0.10", "203.0.113.1"},
      {"tcp", "2001:db8::10", 80, "fd96::10", "fd13::1"},
      {"udp", "2001:db8::10", 53, "fd96::10", "fd13::1"},
  };
  for (const Case& c : cases) {
    CHECK(run(ask(c.protocol, c.address, c.port)).exit_code == 1);
    CHECK(run(network.in_pod(ask(c.protocol, c.address, c.port))).exit_code == 1);
  }
  const Sidecar sidecar(node);
  REQUIRE_MESSAGE(eventually([&] { return sidecar.settled(); }), sidecar.log());
  for (const Case& c : cases) {
    CAPTURE(std::string(c.protocol));
    CAPTURE(std::string(c.address));
    const std::string answer = std::string("FROM ") + c.node_as + " at " + c.at + "\n";
    CHECK(run(ask(c.protocol, c.address, c.port)).output == answer);
    CHECK(run(network.in_pod(ask(c.protocol, c.address, c.port))).output == answer);
  }
  // Other ports, another protocol on the port, other addresses, other sources.
  for (const std::string& other :
       {ask("tcp", "192.0.2.10", 81), ask("udp", "192.0.2.10", 80), ask("tcp", "192.0.2.10", 53),
        ask("tcp", "192.0.2.11", 80), ask("tcp", "2001:db8::10", 81),
        ask("tcp", "2001:db8::11", 80)}) {
    CAPTURE(other);
    CHECK(run(other).exit_code == 1);
    CHECK(run(network.in_pod(other)).exit_code == 1);
  }
  // From an address that does not belong to a pod, through the node.
  node.sh(network.outside("ip route replace 192.0.2.0/24 via 203.0.113.1"));
  CHECK(run(network.outside(ask("tcp", "192.0.2.10", 80))).exit_code == 1);
}

TEST_CASE(
    "existing UDP flows follow their rules, which appear, are missing, change and disappear") {
  Node node;
  if (!node.usable()) return;
  Network network(node);
  add_service_network(node, network);
  for (const std::string cluster : {"10.96.0.10", "10.96.0.11", "fd96::10", "fd96::11"}) {
    node.sh(network.outside("ip addr replace " + cluster + (cluster[0] == 'f' ? "/128" : "/32") +
                            " dev lo" + (cluster[0] == 'f' ? " nodad" : "")));
    network.start_outside(kScripts + "echo.py serve " + cluster + " 53");
  }
  std::optional<Sidecar> sidecar;
  const auto start = [&] {
    sidecar.emplace(node);
    REQUIRE_MESSAGE(eventually([&] { return sidecar->settled(); }), sidecar->log());
  };
  start();
  struct Case {
    const char* tables;
    const char* external;
    const char* cluster;  // without its last digit
    const char* node;     // as whom the flows are seen
  };
  for (const Case& c : {Case{"iptables", "192.0.2.10", "10.96.0.1", "203.0.113.1"},
                        Case{"ip6tables", "2001:db8::10", "fd96::1", "fd13::1"}}) {
    CAPTURE(std::string(c.external));
    Flow from_node(node, kScripts + "echo.py flow 60 " + c.external + ":53", "");
    Flow from_pod(node, kScripts + "echo.py flow 60 " + c.external + ":53", network.in_pod(""));
    const auto both_see = [&](const std::string& answer) {
      const auto seen = [&] { return from_node.last() == answer && from_pod.last() == answer; };
      CHECK_MESSAGE(eventually(seen), answer << ", but node: " << from_node.last()
                                             << ", pod: " << from_pod.last() << "\n"
                                             << run("conntrack -L -p udp 2>&1").output
                                             << (sidecar ? sidecar->log() : ""));
    };
    const auto from = [&](const char* digit) {
      return std::string("FROM ") + c.node + " at " + c.cluster + digit;
    };
    const auto serve = [&](const char* digit) {
      node.api().services().put(
          to_json({"dns", {std::string(c.cluster) + digit}, {c.external}, {"UDP:53"}}));
    };
    both_see("none");
    serve("0");
    both_see(from("0"));
    // A flow begins while no process repairs its missing rules: it follows them once they return.
    sidecar.reset();
    const std::string flush =
        native() ? "nft flush chain inet nmanager " : std::string(c.tables) + " -t nat -F ";
    node.sh(flush + "NMANAGER_EX_CLUS_OUTPUT; " + flush +
            "NMANAGER_EX_CLUS_PREROUTING; conntrack -D -p udp -d " + c.external + " -f " +
            (c.external[0] == '2' ? "ipv6" : "ipv4"));
    both_see("none");
    start();
    both_see(from("0"));
    serve("1");
    both_see(from("1"));
    node.api().services().remove("default/dns");
    both_see("none");
  }
}

}  // namespace nmanager::test
