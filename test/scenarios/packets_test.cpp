// Real packets: what fails without the rules works with them, and nothing else changes.
#include <doctest/doctest.h>

#include <algorithm>

#include "test/scenarios/network.h"

namespace nmanager::test {
namespace {

const std::string kScripts = std::string(NMANAGER_SOURCE_DIR) + "/test/scenarios/";

/// One connection from the pod to the outside in which a segment ahead of the window turns up:
/// 0: it lives, 10: it was reset.
int connection_with_forged_segment(Network& network, const std::string& address, int port) {
  const std::string where = address + " " + std::to_string(port);
  network.start_outside(kScripts + "forged_segment.py server " + where);
  return run(network.in_pod(kScripts + "forged_segment.py client " + where)).exit_code;
}

std::string ask(const std::string& protocol, const std::string& address, int port) {
  return kScripts + "echo.py ask " + protocol + " " + address + " " + std::to_string(port);
}

/// Where packets to cluster and external addresses go.
void add_service_network(const Node& node, const Network& network) {
  // The cluster addresses are real ones here, since there is no IPVS: the outside has them.
  node.sh(network.outside("ip addr add 10.96.0.10/32 dev lo"));
  node.sh(network.outside("ip addr add fd96::10/128 dev lo nodad"));
  node.sh(network.outside("ip route add blackhole 192.0.2.0/24"));
  node.sh(network.outside("ip -6 route add blackhole 2001:db8::/64"));
  node.sh("ip route add 10.96.0.0/16 via 203.0.113.2; ip route add 192.0.2.0/24 via 203.0.113.2");
  node.sh("ip -6 route add fd96::/64 via fd13::2; ip -6 route add 2001:db8::/64 via fd13::2");
  // As kube-proxy translates what bears its mark.
  for (const std::string tables : {"iptables", "ip6tables"}) {
    node.sh(tables + " -t nat -A POSTROUTING -m mark --mark 0x4000/0x4000 -j MASQUERADE");
  }
}

}  // namespace

TEST_CASE("problem 1: a segment that conntrack calls INVALID no longer kills the connection") {
  Node node;
  if (!node.usable()) return;
  Network network(node);
  int port = 7000;
  for (const std::string address : {"203.0.113.2", "fd13::2"}) {
    CAPTURE(address);
    CHECK(connection_with_forged_segment(network, address, ++port) == 10);
  }
  const Sidecar sidecar(node);
  REQUIRE_MESSAGE(eventually([&] { return sidecar.settled(); }), sidecar.log());
  for (const std::string address : {"203.0.113.2", "fd13::2"}) {
    CAPTURE(address);
    CHECK(connection_with_forged_segment(network, address, ++port) == 0);
  }
  CHECK(node.sh("iptables -nvxL NMANAGER_DROP_INVALID_INPUT").find(" 1 ") != std::string::npos);
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
  // From an address that is no pod's, through the node.
  node.sh(network.outside("ip route replace 192.0.2.0/24 via 203.0.113.1"));
  CHECK(run(network.outside(ask("tcp", "192.0.2.10", 80))).exit_code == 1);
}

TEST_CASE(
    "a UDP flow that began before its rules is translated when they come, and when they change") {
  Node node;
  if (!node.usable()) return;
  Network network(node);
  add_service_network(node, network);
  network.start_outside(kScripts + "echo.py serve 10.96.0.10 53");
  network.start_outside(kScripts + "echo.py serve fd96::10 53");
  const Sidecar sidecar(node);
  REQUIRE_MESSAGE(eventually([&] { return sidecar.settled(); }), sidecar.log());
  struct Case {
    const char* external;
    const char* cluster;
    const char* answer;
  };
  for (const Case& c : {Case{"192.0.2.10", "10.96.0.10", "FROM 203.0.113.1 at 10.96.0.10\n"},
                        Case{"2001:db8::10", "fd96::10", "FROM fd13::1 at fd96::10\n"}}) {
    CAPTURE(std::string(c.external));
    const std::string flow =
        kScripts + "echo.py keep-asking " + c.external + " 53 20 >" + node.folder() + "/";
    // must() waits for whoever holds its output.
    must("(" + flow + "node) >/dev/null 2>&1 & (" + network.in_pod(flow + "pod") +
         ") >/dev/null 2>&1 & :");
    REQUIRE(eventually([&] {
      const std::string flows =
          run("conntrack -L -p udp -f ipv4 2>&1; conntrack -L -p udp -f ipv6 2>&1").output;
      return std::ranges::count(flows, '\n') >= 2 &&
             flows.find(c.external) != flows.rfind(c.external);
    }));
    node.api().services().put(to_json({"dns", {c.cluster}, {c.external}, {"UDP:53"}}));
    for (const char* from : {"node", "pod"}) {
      CAPTURE(std::string(from));
      CHECK(
          eventually([&] { return run("cat " + node.folder() + "/" + from).output == c.answer; }));
    }
  }
}

TEST_CASE("kube-proxy changes its mode, and the external-cluster rules follow") {
  Node node;
  if (!node.usable()) return;
  node.api().services().put(to_json({"web", {"10.96.0.10"}, {"192.0.2.10"}, {"TCP:80"}}));
  const std::string site = node.folder() + "/kube-proxy";
  const auto set_mode = [&](const std::string& mode) {
    node.sh("mkdir -p " + site + "; printf " + mode + " >" + site + "/new; mv " + site + "/new " +
            site + "/proxyMode");
  };
  set_mode("ipvs");
  const std::string pid = must("python3 -m http.server --bind 127.0.0.1 --directory " + site +
                               " 10249 >/dev/null 2>&1 & echo $!");
  const Sidecar sidecar(node, {"--proxy-mode", "auto"});
  const auto follows = [&](const std::string& mode) {
    set_mode(mode);
    // A sync of kube-proxy is what makes it look at once.
    node.sh("iptables -t nat -N KUBE-" + mode + "-X; iptables -t nat -I PREROUTING -j KUBE-" +
            mode + "-X; iptables -t nat -D PREROUTING -j KUBE-" + mode +
            "-X; iptables -t nat -X KUBE-" + mode + "-X");
    return eventually(
        [&] {
          return (node.our_rules().find("DNAT") != std::string::npos) == (mode == "ipvs") &&
                 node.our_rules().find("INVALID") != std::string::npos;
        },
        std::chrono::seconds(60));
  };
  for (const std::string mode : {"ipvs", "iptables", "ipvs", "nftables", "ipvs"}) {
    CAPTURE(mode);
    CHECK_MESSAGE(follows(mode), sidecar.log());
  }
  // Could not tell is not "not IPVS": what stands stays.
  run("kill " + pid);
  node.sh("rm " + site + "/proxyMode");
  CHECK(sidecar.get("/readyz?verbose").find("[") != std::string::npos);
  CHECK(node.our_rules().find("DNAT") != std::string::npos);
}

}  // namespace nmanager::test
