// diagnose finds each problem where it exists, none where it does not, and leaves nothing behind.
#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>

#include "test/scenarios/network.h"

namespace nmanager::test {
namespace {

std::string diagnose(const std::string& flags) {
  return std::string(NMANAGER_BINARY) + " diagnose --pod-cidr-ipv4 10.244.0.0/16 " + flags;
}

/// Everything that netfilter holds here, including the counters of rules, but not those of
/// policies: these count the request to kube-proxy.
std::string all_tables() {
  return run("(nft list ruleset; iptables-legacy-save -c 2>&1; ip6tables-legacy-save -c 2>&1; "
             "cat /proc/thread-self/net/ip_tables_names /proc/thread-self/net/ip6_tables_names) | "
             "sed -E '/^#/d; s/^(:.*) \\[.*/\\1/'")
      .output;
}

std::string without_counters(const std::string& tables) {
  return run("sed -E 's/(packets|bytes) [0-9]+//g; s/\\[[0-9]+:[0-9]+\\]//'", tables).output;
}

/// diagnose while something happens.
class Watching {
 public:
  explicit Watching(const std::string& flags, int seconds = 30)
      : file_("/tmp/nmanager-diagnose-" + std::to_string(::getpid())),
        pid_(must(diagnose(flags + " --for " + std::to_string(seconds) + "s") + " >" + file_ +
                  " 2>&1 </dev/null & echo -n $!")) {
    // It watches once its packet socket exists.
    CHECK(eventually([] {
      const std::string sockets = run("cat /proc/thread-self/net/packet").output;
      return std::count(sockets.begin(), sockets.end(), '\n') > 1;
    }));
  }
  Watching(const Watching&) = delete;
  Watching& operator=(const Watching&) = delete;
  ~Watching() { run("kill " + pid_ + " 2>/dev/null; rm -f " + file_); }

  /// Ends it as Ctrl-C does.
  std::string end() {
    run("kill -INT " + pid_ + "; tail --pid=" + pid_ + " -f /dev/null");
    return run("cat " + file_).output;
  }

 private:
  std::string file_;
  std::string pid_;
};

/// A client outside, a NodePort of the node, and a server in the pod that sends a segment ahead of
/// the window; returns the client's exit code.
int connection_to_node_port(const Network& network, const std::string& node, const std::string& pod,
                            int port) {
  const std::string program = kScripts + "forged_segment.py ";
  const std::string pipe = "/tmp/nmanager-diagnose-server-" + std::to_string(::getpid());
  const std::string server = must(
      "mkfifo " + pipe + "; " + network.in_pod(program + "server " + pod + " 8080") + " >" + pipe +
      " 2>&1 </dev/null & pid=$!; read line <" + pipe + "; rm " + pipe + "; echo -n $pid");
  const int code =
      run(network.outside(program + "client " + node + " " + std::to_string(port))).exit_code;
  run("kill " + server);
  return code;
}

void add_node_port(const Node& node) {
  node.sh("nft -f -",
          "table ip services { chain pre { type nat hook prerouting priority -100;\n"
          "tcp dport 30080 dnat to 10.244.0.2:8080\n}\n}\n"
          "table ip6 services { chain pre { type nat hook prerouting priority -100;\n"
          "tcp dport 30080 dnat to [fd44::2]:8080\n}\n}\n");
}

}  // namespace

TEST_CASE("problem 1 is detected, its pod is named, and no other problem is reported") {
  Node node;
  if (!node.usable()) return;
  Network network(node);
  const std::string before = all_tables();
  CHECK(run(diagnose("--proxy-mode iptables --for 1ms")).exit_code == 0);
  CHECK(before == all_tables());
  Watching watching("--proxy-mode iptables");
  CHECK(network.connection_with_forged_segment("203.0.113.2", 7101) == 10);
  CHECK(network.connection_with_forged_segment("fd13::2", 7102) == 10);
  const std::string said = watching.end();
  CHECK_MESSAGE(contains(said,
                         "problem 1, connections of pods to the outside are reset: YES: 2 "
                         "connections"),
                said);
  CHECK(contains(said, "  pod 10.244.0.2:"));
  CHECK(contains(said, " -> 203.0.113.2:7101 was reset by this node at "));
  CHECK(contains(said, " -> [fd13::2]:7102 was reset by this node at "));
  CHECK(contains(said, "problem 2, external IPs cannot be reached from inside: NO"));
  CHECK(contains(said, "problem 3, connections of clients to Services are reset: NO"));
  // Rules of other programs count the traffic itself.
  CHECK(without_counters(before) == without_counters(all_tables()));
}

TEST_CASE("problem 3 is detected, and its client and pod are named") {
  Node node;
  if (!node.usable()) return;
  Network network(node);
  add_node_port(node);
  Watching watching("--proxy-mode nftables");
  CHECK(connection_to_node_port(network, "203.0.113.1", "10.244.0.2", 30080) == 10);
  CHECK(connection_to_node_port(network, "fd13::1", "fd44::2", 30080) == 10);
  const std::string said = watching.end();
  CHECK_MESSAGE(contains(said, "problem 3, connections of clients to Services are reset: YES: 2"),
                said);
  CHECK(contains(said, " of 203.0.113.1:30080 reset pod 10.244.0.2:8080 at "));
  CHECK(contains(said, " of [fd13::1]:30080 reset [fd44::2]:8080 at "));
  CHECK(contains(said, "problem 1, connections of pods to the outside are reset: POSSIBLE"));
}

TEST_CASE("answers that leave untranslated are detected even if no client resets") {
  Node node;
  if (!node.usable()) return;
  Network network(node);
  add_node_port(node);
  // The client's RSTs are dropped.
  node.sh(network.outside("iptables -A OUTPUT -p tcp --tcp-flags RST RST -j DROP") + "; " +
          network.outside("ip6tables -A OUTPUT -p tcp --tcp-flags RST RST -j DROP"));
  Watching watching("--proxy-mode nftables --pod-cidr-ipv6 fd44::/64");
  CHECK(connection_to_node_port(network, "203.0.113.1", "10.244.0.2", 30080) == 0);
  CHECK(connection_to_node_port(network, "fd13::1", "fd44::2", 30080) == 0);
  const std::string said = watching.end();
  CHECK_MESSAGE(contains(said, "reset: POSSIBLE: answers of 2 connections left with the pod's own"),
                said);
  CHECK(contains(said, "  pod 10.244.0.2:8080 -> 203.0.113.2:"));
  CHECK(contains(said, "  pod [fd44::2]:8080 -> [fd13::2]:"));
}

TEST_CASE("regular resets are not reported as a problem") {
  Node node;
  if (!node.usable()) return;
  Network network(node);
  add_node_port(node);
  network.start_outside(kScripts + "echo.py serve 203.0.113.2 80");
  Watching watching("--proxy-mode nftables");
  // Refused by the outside, by the node, by a pod behind its NodePort; and by a pod that ends.
  for (const std::string& command :
       {network.in_pod("curl -s -m 2 203.0.113.2:81"),
        network.in_pod("curl -s -m 2 203.0.113.1:81"),
        network.outside("curl -s -m 2 203.0.113.1:30080"),
        network.in_pod("python3 -c 'import socket,struct\n"
                       "c=socket.create_connection((\"203.0.113.2\",80))\n"
                       "c.setsockopt(socket.SOL_SOCKET,socket.SO_LINGER,struct.pack(\"ii\",1,0))\n"
                       "c.recv(9)\nc.close()'")}) {
    run(command);
  }
  const std::string said = watching.end();
  CHECK_FALSE_MESSAGE(contains(said, ": YES"), said);
}

TEST_CASE("with the rule in place problem 1 does not occur") {
  Node node;
  if (!node.usable()) return;
  Network network(node);
  const Sidecar sidecar(node);
  REQUIRE_MESSAGE(eventually([&] { return sidecar.settled(); }), sidecar.log());
  Watching watching("--proxy-mode iptables --backend " + backend());
  CHECK(network.connection_with_forged_segment("203.0.113.2", 7103) == 0);
  const std::string said = watching.end();
  CHECK_MESSAGE(contains(said, "reset: NO: nmanager's rule drops INVALID packets in INPUT"), said);
}

TEST_CASE("with the rule in place problem 3 does not occur") {
  Node node;
  if (!node.usable()) return;
  Network network(node);
  add_node_port(node);
  const Sidecar sidecar(node, {"--proxy-mode", "nftables"});
  REQUIRE_MESSAGE(eventually([&] { return sidecar.settled(); }), sidecar.log());
  Watching watching("--proxy-mode nftables --pod-cidr-ipv6 fd44::/48 --backend " + backend());
  CHECK(connection_to_node_port(network, "203.0.113.1", "10.244.0.2", 30080) == 0);
  const std::string said = watching.end();
  CHECK_MESSAGE(
      contains(said, "reset: NO: nmanager's rule drops INVALID packets of pods in FORWARD"), said);
  CHECK(contains(said, "reset: NO: nmanager's rule drops INVALID packets in INPUT"));
}

TEST_CASE("problem 2: named Services, and a probe that decides") {
  Node node;
  if (!node.usable()) return;
  Network network(node);
  node.sh(network.outside("ip addr add 10.96.0.10/32 dev lo"));
  node.sh("ip route add 10.96.0.0/16 via 203.0.113.2; ip route add unreachable 192.0.2.0/24");
  network.start_outside(kScripts + "echo.py serve 10.96.0.10 80");
  node.api().services().put(to_json({"web", {"10.96.0.10"}, {"192.0.2.10"}, {"TCP:80"}}));
  const std::string flags = "--for 1ms --proxy-mode ipvs --kubeconfig " + node.folder() +
                            "/kubeconfig --backend " + backend();
  const auto possible = run(diagnose(flags));
  CHECK(possible.exit_code == 0);
  CHECK_MESSAGE(contains(possible.output, "from inside: POSSIBLE: 1 external addresses"),
                possible.output);
  CHECK(contains(possible.output, "  default/web, 192.0.2.10\n"));
  const std::string before = all_tables();
  const auto seen = run(diagnose(flags + " --probe"));
  CHECK(seen.exit_code == 1);
  CHECK_MESSAGE(contains(seen.output, "from inside: YES: 1 of 1 external addresses"), seen.output);
  CHECK(contains(seen.output, "default/web, 192.0.2.10 port 80: "));
  CHECK(contains(seen.output, ", but its ClusterIP answers\n"));
  CHECK(before == all_tables());
  const auto json = run(diagnose(flags + " --probe -o json"));
  CHECK(json.exit_code == 1);
  CHECK(run("/usr/bin/python3 " + kScripts + "../json_schema.py " +
                std::string(NMANAGER_SOURCE_DIR) + "/docs/diagnose.schema.json",
            json.output)
            .output == "");
  // The cure.
  node.sh(
      "iptables -t nat -A OUTPUT -d 192.0.2.10 -j DNAT --to-destination 10.96.0.10; "
      "ip route replace 192.0.2.0/24 via 203.0.113.2");
  const auto cured = run(diagnose(flags + " --probe"));
  CHECK(cured.exit_code == 0);
  CHECK_MESSAGE(contains(cured.output, "from inside: NO: each external address was reached"),
                cured.output);
}

TEST_CASE("without capabilities: what could not be observed is reported, without a verdict") {
  Node node;
  if (!node.usable()) return;
  const std::string drop = "setpriv --bounding-set -all --inh-caps -all --nnp ";
  const auto said = run(drop + diagnose("--for 1ms --proxy-mode nftables"));
  CHECK(said.exit_code == 2);
  CHECK_MESSAGE(contains(said.output, "reset: COULD NOT TELL: RSTs could not be watched"),
                said.output);
  CHECK(contains(said.output,
                 "could not be seen: RSTs: opening a packet socket: not permitted "
                 "(CAP_NET_RAW is needed)"));
  CHECK(contains(said.output, "could not be seen: conntrack: "));
  CHECK(contains(said.output, "CAP_NET_ADMIN"));
}

}  // namespace nmanager::test
