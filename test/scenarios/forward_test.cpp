// Problem 3 with real packets: Services as kube-proxy's nftables mode translates them.
#include <doctest/doctest.h>

#include "test/scenarios/fake_kube_proxy.h"
#include "test/scenarios/network.h"

namespace nmanager::test {
namespace {

const std::string kForged = kScripts + "forged_segment.py ";

constexpr int kLived = 0;
constexpr int kReset = 10;

/// The addresses of one family. The pod of the other node is in the namespace of the outside.
struct Addresses {
  const char* node;
  const char* outside;
  const char* pod;
  const char* second_pod;
  const char* far_pod;
  const char* cluster;      // leads to the pod
  const char* far_cluster;  // leads to the pod of the other node
};
constexpr Addresses kIpv4{"203.0.113.1", "203.0.113.2", "10.244.0.2", "10.244.2.2",
                          "10.244.1.2",  "10.96.0.10",  "10.96.0.11"};
constexpr Addresses kIpv6{"fd13::1",       "fd13::2",  "fd44::2", "fd44:0:0:2::2",
                          "fd44:0:0:1::2", "fd96::10", "fd96::11"};

/// Services whose ports are their pods'. Translated as kube-proxy's nftables mode does, without
/// masquerading: externalTrafficPolicy is Local.
class ServiceNetwork {
 public:
  explicit ServiceNetwork(const Node& node) : network(node) {
    network.add_second_pod();
    node.sh(network.outside("ip addr add 10.244.1.2/32 dev lo"));
    node.sh(network.outside("ip addr add fd44:0:0:1::2/128 dev lo nodad"));
    node.sh(
        "ip route add 10.244.1.0/24 via 203.0.113.2; "
        "ip -6 route add fd44:0:0:1::/64 via fd13::2");
    // As network plug-ins do: what goes to pods keeps its source.
    node.sh(
        "iptables -t nat -I POSTROUTING -d 10.244.0.0/16 -j RETURN; "
        "ip6tables -t nat -I POSTROUTING -d fd44::/48 -j RETURN");
    node.sh("nft -f -", table("ip", kIpv4) + table("ip6", kIpv6));
  }

  /// A connection to a server at `server` (in `there`) from `here`, the forged segment in it sent
  /// by the server, or by the client (`forging`).
  [[nodiscard]] int forged(const std::string& there, const char* server, const std::string& here,
                           const std::string& to, const std::string& client = "") {
    const std::string port = std::to_string(++port_);
    const bool quiet = client.find("forging") != std::string::npos;
    network.start(there + kForged + "server " + server + " " + port + (quiet ? " quiet" : ""));
    return run(here + kForged + "client " + to + " " + port + " " + client).exit_code;
  }

  /// Tries every path on which a server's segment leaves untranslated, and returns those that did
  /// not end as `expected`.
  [[nodiscard]] std::string all_end(int expected) {
    std::string wrong;
    const auto check = [&](const char* way, int result) {
      if (result != expected) wrong += std::string(way) + ": " + std::to_string(result) + "\n";
    };
    const std::string pod = network.in_pod("");
    const std::string second = network.in_second_pod("");
    const std::string outside = network.outside("");
    for (const Addresses& at : {kIpv4, kIpv6}) {
      check("outside, NodePort", forged(pod, at.pod, outside, at.node));
      check("pod of another node, NodePort", forged(pod, at.pod, outside, at.node, at.far_pod));
      check("pod of the node, ClusterIP", forged(pod, at.pod, second, at.cluster));
      check("pod of the node, ClusterIP of a pod elsewhere",
            forged(outside, at.far_pod, second, at.far_cluster));
    }
    return wrong;
  }

  Network network;

 private:
  static std::string table(const std::string& family, const Addresses& at) {
    const std::string rule = "\n" + family + " daddr ";
    const std::string ports = " tcp dport 7000-7999 dnat to ";
    return "table " + family +
           " kube-proxy {\nchain services {\n}\nchain nat-prerouting {\ntype nat hook prerouting "
           "priority -100" +
           rule + at.node + ports + at.pod + rule + at.cluster + ports + at.pod + rule +
           at.far_cluster + ports + at.far_pod + "\n}\n}\n";
  }

  int port_ = 7000;
};

std::vector<std::string> nftables_mode(const std::string& forward = "auto") {
  return {"--proxy-mode", "nftables", "--rule-drop-invalid-forward-enable", forward};
}

std::string counter(const std::string& family, const std::string& hook) {
  return "family=\"" + family + "\",hook=\"" + hook + "\",reset=\"possible\"";
}

}  // namespace

TEST_CASE("problem 3: a segment of a server that conntrack calls INVALID kills no connection") {
  Node node;
  if (!node.usable()) return;
  ServiceNetwork services(node);
  CHECK(services.all_end(kReset) == "");
  {
    const Sidecar sidecar(node, nftables_mode("false"));
    REQUIRE_MESSAGE(eventually([&] { return sidecar.settled(); }), sidecar.log());
    CHECK(services.all_end(kReset) == "");  // the drop in INPUT never sees these packets
  }
  {
    const Sidecar sidecar(node, nftables_mode("count"));
    REQUIRE_MESSAGE(eventually([&] { return sidecar.settled(); }), sidecar.log());
    CHECK(services.all_end(kReset) == "");
    for (const std::string family : {"ipv4", "ipv6"}) {
      // One segment on each path; the counters are read when the metrics are requested.
      CHECK(sidecar.metric("nmanager_invalid_packets_counted_total", counter(family, "FORWARD"))
                .value_or(0) >= 4);
      CHECK(sidecar.metric("nmanager_invalid_packets_dropped_total",
                           "family=\"" + family + "\",hook=\"FORWARD\"") == 0);
    }
  }
  const Sidecar sidecar(node, nftables_mode());
  REQUIRE_MESSAGE(eventually([&] { return sidecar.settled(); }), sidecar.log());
  CHECK(services.all_end(kLived) == "");
  for (const std::string family : {"ipv4", "ipv6"}) {
    CHECK(sidecar.metric("nmanager_invalid_packets_dropped_total", counter(family, "FORWARD"))
              .value_or(0) >= 4);
  }
}

TEST_CASE("problem 3: a segment of a client that conntrack calls INVALID") {
  Node node;
  if (!node.usable()) return;
  ServiceNetwork services(node);
  const auto from_outside = [&](const Addresses& at) {
    return services.forged(services.network.in_pod(""), at.pod, services.network.outside(""),
                           at.node, "forging");
  };
  const auto from_pod = [&](const Addresses& at) {
    return services.forged(services.network.in_pod(""), at.pod, services.network.in_second_pod(""),
                           at.cluster, "forging");
  };
  for (const Addresses& at : {kIpv4, kIpv6}) CHECK(from_outside(at) == kReset);
  const Sidecar sidecar(node, nftables_mode());
  REQUIRE_MESSAGE(eventually([&] { return sidecar.settled(); }), sidecar.log());
  for (const Addresses& at : {kIpv4, kIpv6}) {
    CHECK(from_outside(at) == kLived);  // by the drop in INPUT
    CHECK(from_pod(at) == kLived);
  }
}

TEST_CASE("kube-proxy's iptables mode: packets are dropped in FORWARD only with `true`") {
  Node node;
  if (!node.usable()) return;
  ServiceNetwork services(node);
  const auto with = [&](const std::string& forward, int expected) {
    CAPTURE(forward);
    const Sidecar sidecar(
        node, {"--proxy-mode", "iptables", "--rule-drop-invalid-forward-enable", forward});
    REQUIRE_MESSAGE(eventually([&] { return sidecar.settled(); }), sidecar.log());
    CHECK(services.all_end(expected) == "");
    return sidecar.get("/status");
  };
  (void)with("auto", kReset);
  FakeKubeProxy kube_proxy(node);
  kube_proxy.have_forward_chain(false);
  CHECK(with("auto", kReset).find("missing from KUBE-FORWARD") != std::string::npos);
  (void)with("true", kLived);
  kube_proxy.have_forward_chain(true);
  CHECK(with("auto", kLived).find("missing from KUBE-FORWARD") == std::string::npos);
  CHECK(node.our_rules().find("FORWARD") == std::string::npos);
}

TEST_CASE("packets that the drop in FORWARD lets pass") {
  Node node;
  if (!node.usable()) return;
  ServiceNetwork services(node);
  const Network& network = services.network;
  const Sidecar sidecar(node, {"--proxy-mode", "nftables", "--rule-drop-invalid-input-exempt",
                               "src:10.244.2.0/24,src:fd44:0:0:2::/64"});
  REQUIRE_MESSAGE(eventually([&] { return sidecar.settled(); }), sidecar.log());
  // The receivers count, by the port that they are sent to.
  const std::string table =
      "table inet seen {\nchain c {\ntype filter hook prerouting priority "
      "-300\ntcp sport 9 tcp dport 1 counter\ntcp sport 9 tcp dport 2 "
      "counter\n}\n}\n";
  for (const std::string& where : {network.outside(""), network.in_pod("")}) {
    node.sh(where + "nft -f -", table);
  }
  const auto seen = [&](const std::string& where, int port) {
    const std::string list = run(where + "nft list table inet seen").output;
    const auto at = list.find("packets ", list.find("dport " + std::to_string(port) + " "));
    return std::stoi(list.substr(at + 8));
  };
  const auto send = [&](const std::string& where, const char* from, const char* to, int port,
                        int flags) {
    must(where + kForged + "stray " + from + " " + to + " " + std::to_string(port) + " " +
         std::to_string(flags));
  };
  constexpr int kFin = 0x11;  // with ACK: INVALID as the first packet of a flow
  constexpr int kSynAck = 0x12;
  constexpr int kRst = 0x04;
  struct Case {
    const char* what;
    bool from_pod;  // else from outside to the pod
    bool exempt;    // from the second pod
    int flags;
    bool passes;
  };
  const std::vector<Case> cases{
      {"a pod's FIN", true, false, kFin, false},
      {"a pod's RST", true, false, kRst, false},
      {"a pod's SYN-ACK: a flow of which this node sees only the replies", true, false, kSynAck,
       true},
      {"an exempted pod's FIN", true, true, kFin, true},
      {"a stranger's FIN", false, false, kFin, true},
      {"a stranger's RST", false, false, kRst, true},
  };
  for (const Addresses& at : {kIpv4, kIpv6}) {
    for (const Case& c : cases) {
      CAPTURE(std::string(c.what));
      const std::string from = !c.from_pod ? network.outside("")
                               : c.exempt  ? network.in_second_pod("")
                                           : network.in_pod("");
      const char* const source = !c.from_pod ? at.outside : c.exempt ? at.second_pod : at.pod;
      const char* const target = c.from_pod ? at.outside : at.pod;
      const std::string there = c.from_pod ? network.outside("") : network.in_pod("");
      const int before = seen(there, 1);
      const int marked = seen(there, 2);
      send(from, source, target, 1, c.flags);
      send(from, source, target, 2, kSynAck);  // after it, and always let through
      CHECK(eventually([&] { return seen(there, 2) == marked + 1; }));
      CHECK(seen(there, 1) - before == (c.passes ? 1 : 0));
    }
  }
}

TEST_CASE("flows of which the node sees only the replies") {
  Node node;
  if (!node.usable()) return;
  ServiceNetwork services(node);
  const Network& network = services.network;
  // Packets to the pod can bypass the node; packets from it cannot.
  const std::string pod = network.in_pod("").substr(std::string("ip netns exec ").size());
  node.sh(network.outside("ip link add beside type veth peer name beside netns " + pod));
  for (const std::string& where : {network.outside(""), network.in_pod("")}) {
    node.sh(where + "ip link set beside up");
    node.sh(where +
            "sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.eth0.rp_filter=0 "
            "net.ipv4.conf.beside.rp_filter=0");
  }
  // The kernel answers a neighbour solicitation only on the device that has the IPv6 address.
  node.sh(network.in_pod("ip addr add fd44::2/128 dev beside nodad"));
  node.sh(network.outside("ip route add 10.244.0.2 dev beside src 203.0.113.2"));
  node.sh(network.outside("ip -6 route add fd44::2 dev beside src fd13::2"));
  // The node does not translate the replies either.
  node.sh("iptables -t nat -F POSTROUTING; ip6tables -t nat -F POSTROUTING");
  const auto asks = [&](const Addresses& at, int port) {
    return run(network.outside(kScripts + "echo.py ask tcp " + at.pod + " " + std::to_string(port)))
        .exit_code;
  };
  int port = 7100;
  for (const Addresses& at : {kIpv4, kIpv6}) {
    services.network.start(network.in_pod(kScripts + "echo.py serve " + at.pod + " 7100"));
    REQUIRE(eventually([&] { return asks(at, port) == 0; }));  // once the new link is up
  }
  {
    const Sidecar sidecar(node, nftables_mode());
    REQUIRE_MESSAGE(eventually([&] { return sidecar.settled(); }), sidecar.log());
    for (const Addresses& at : {kIpv4, kIpv6}) CHECK(asks(at, port) == 0);
    // Without it conntrack takes up no flow in the middle: all that follows the SYN-ACK is INVALID.
    node.sh("sysctl -qw net.netfilter.nf_conntrack_tcp_loose=0");
    for (const Addresses& at : {kIpv4, kIpv6}) CHECK(asks(at, port) != 0);
  }
  const Sidecar sidecar(node, {"--proxy-mode", "nftables", "--rule-drop-invalid-input-exempt",
                               "dst:203.0.113.2,dst:fd13::2"});
  REQUIRE_MESSAGE(eventually([&] { return sidecar.settled(); }), sidecar.log());
  for (const Addresses& at : {kIpv4, kIpv6}) CHECK(asks(at, port) == 0);
}

TEST_CASE(
    "problem 3: kube-proxy 1.36's own rules in nftables mode, before and after a flush of all") {
  Node node;
  if (!node.usable()) return;
  Network network(node);
  network.add_second_pod();
  // The pod of the recorded Service default/np.
  node.sh(network.in_second_pod("ip addr add 10.244.2.7/24 dev eth0"));
  node.sh("iptables -t nat -I POSTROUTING -d 10.244.0.0/16 -j RETURN");
  const auto kube_proxy_writes = [&](const std::string& files) {
    node.sh("for file in " + std::string(NMANAGER_SOURCE_DIR) +
            "/test/fixtures/kube-proxy/nftables-1.36/" + files + "; do nft -f $file; done");
  };
  const auto ends = [&] {
    // The previous server holds the port until it has ended.
    REQUIRE(eventually(
        [&] { return run(network.in_second_pod("ss -Hltn sport = :80")).output.empty(); }));
    network.start(network.in_second_pod(kForged + "server 10.244.2.7 80"));
    return run(network.in_pod(kForged + "client 10.96.0.13 80")).exit_code;
  };
  kube_proxy_writes("01-start/*-nft.in");
  CHECK(ends() == kReset);
  const Sidecar sidecar(node, nftables_mode());
  REQUIRE_MESSAGE(eventually([&] { return sidecar.settled(); }), sidecar.log());
  CHECK(ends() == kLived);
  kube_proxy_writes("03-endpoints-change/*-nft.in");
  CHECK(ends() == kLived);
  node.sh("nft flush ruleset");
  kube_proxy_writes("01-start/*-nft.in");  // it starts again
  CHECK(eventually([&] { return sidecar.ready(); }));
  CHECK(ends() == kLived);
}

TEST_CASE(
    "kube-proxy changes its mode under traffic: the drop in FORWARD follows, nothing is reset") {
  Node node;
  if (!node.usable()) return;
  ServiceNetwork services(node);
  FakeKubeProxy kube_proxy(node);
  kube_proxy.start("iptables");
  kube_proxy.sync("0");
  kube_proxy.have_forward_chain(true);
  const Sidecar sidecar(node, {"--proxy-mode", "auto"});
  const auto in_place = [&](bool forward) {
    const std::string ours = node.our_rules();
    return (ours.find("NMANAGER_DROP_INVALID_FWD") != std::string::npos) == forward &&
           drop_invalid(ours);
  };
  services.network.start(services.network.in_pod(kScripts + "echo.py serve 10.244.0.2 7200"));
  const std::string held = node.folder() + "/held";
  const std::string hold = node.folder() + "/hold";
  const std::string holder =
      must("mkfifo " + hold + "; " +
           services.network.outside(kScripts + "echo.py hold tcp:203.0.113.1:7200 <") + hold +
           " >" + held + " 2>&1 & sleep 1000 >" + hold + " 2>/dev/null </dev/null & echo -n $!");
  REQUIRE(eventually([&] { return run("cat " + held).output.starts_with("up"); }));
  bool device = false;
  for (const std::string mode : {"nftables", "iptables", "nftables", "ipvs", "nftables"}) {
    CAPTURE(mode);
    kube_proxy.answer("proxyMode", mode);
    if (std::exchange(device, mode == "ipvs") != (mode == "ipvs")) {
      kube_proxy.have_ipvs_device(mode == "ipvs");
    }
    if (mode == "iptables") kube_proxy.have_forward_chain(true);
    if (mode == "nftables") kube_proxy.remove_forward_chain();
    CHECK_MESSAGE(eventually([&] { return in_place(mode == "nftables"); }), sidecar.log());
    if (mode != "ipvs") {  // there is no IPVS here to translate
      CHECK(services.forged(services.network.in_pod(""), "10.244.0.2", services.network.outside(""),
                            "203.0.113.1") == kLived);
    }
  }
  run("kill " + holder);
  CHECK(eventually([&] { return run("cat " + held).output.find("held") != std::string::npos; }));
  CHECK(run("cat " + held).output.find("lost") == std::string::npos);
}

}  // namespace nmanager::test
