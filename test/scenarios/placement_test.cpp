// Our chains are kept as they should be, whatever is done to them, and nothing else is changed.
#include <doctest/doctest.h>

#include <random>
#include <thread>

#include "test/scenarios/node.h"

namespace nmanager::test {
namespace {

const std::vector<ServiceSpec> kServices{
    {"web", {"10.96.0.10", "fd96::10"}, {"192.0.2.10", "2001:db8::10"}, {"TCP:80", "TCP:443"}},
    {"dns", {"10.96.0.11"}, {"192.0.2.11"}, {"UDP:53", "TCP:53"}},
};

void fill(Node& node) {
  for (const ServiceSpec& spec : kServices) node.api().services().put(to_json(spec));
}

/// kube-proxy's chains and jumps, as far as placement depends on them.
void add_kube_chains(const Node& node) {
  for (const std::string tables : {"iptables", "ip6tables"}) {
    node.sh(tables + "-restore --noflush",
            "*nat\n:KUBE-SERVICES - [0:0]\n:KUBE-MARK-MASQ - [0:0]\n:KUBE-POSTROUTING - [0:0]\n"
            "-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000\n"
            "-I PREROUTING -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES\n"
            "-I OUTPUT -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES\n"
            "COMMIT\n*filter\n:KUBE-FIREWALL - [0:0]\n:KUBE-FORWARD - [0:0]\n-I INPUT -j "
            "KUBE-FIREWALL\n-I FORWARD -j KUBE-FORWARD\nCOMMIT\n");
  }
}

/// Rules of other agents, with counters and with extensions that we do not know.
void add_foreign_rules(const Node& node) {
  node.sh(
      "iptables-restore --noflush --counters",
      "*nat\n:FOREIGN - [11:22]\n"
      "[3:333] -A PREROUTING -p tcp -m tcp --dport 9 -j FOREIGN\n"
      "[4:444] -A FOREIGN -m statistic --mode nth --every 3 --packet 0 -j RETURN\n"
      "[5:555] -A POSTROUTING -s 198.18.0.0/15 -o eth9 -j MASQUERADE --random-fully\n"
      "COMMIT\n*filter\n:INPUT ACCEPT [0:0]\n:FORWARD DROP [0:0]\n"
      "[6:666] -A INPUT -p icmp -m limit --limit 5/sec -m comment --comment \"a 'b' c\" -j DROP\n"
      "[7:777] -A FORWARD -m physdev --physdev-in veth+ -j ACCEPT\n"
      "[8:888] -A FORWARD -m string --string abc --algo bm -j REJECT\n"
      "COMMIT\n*mangle\n[9:999] -A OUTPUT -o eth9 -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS "
      "--clamp-mss-to-pmtu\nCOMMIT\n");
  node.sh("ip6tables-restore --noflush --counters",
          "*filter\n[6:666] -A INPUT -p ipv6-icmp -m icmp6 --icmpv6-type 128 -j ACCEPT\nCOMMIT\n");
}

/// Commands that damage our rules.
std::vector<std::string> damages_of_chains() {
  std::vector<std::string> damages;
  for (const std::string damage : {
           "-t nat -F NMANAGER_EX_CLUS_PREROUTING",
           "-t nat -F NMANAGER_MARK_MASQ",
           "-t nat -F NMANAGER_OUTPUT",
           "-F NMANAGER_DROP_INVALID_INPUT",
           "-t nat -D PREROUTING -j NMANAGER_PREROUTING",
           "-D INPUT -j NMANAGER_INPUT",
           "-t nat -I PREROUTING -j NMANAGER_PREROUTING",
           "-t nat -A OUTPUT -j NMANAGER_OUTPUT",
           "-A INPUT -j NMANAGER_INPUT",
           "-D FORWARD -j NMANAGER_FORWARD",
           "-A FORWARD -j NMANAGER_FORWARD",
           "-D FORWARD -j NMANAGER_FORWARD; iptables -A FORWARD -j NMANAGER_FORWARD",
           "-F NMANAGER_FORWARD",
           "-D NMANAGER_DROP_INVALID_FWD 1",
           "-D FORWARD -j NMANAGER_FORWARD; iptables -F NMANAGER_FORWARD; iptables -X "
           "NMANAGER_FORWARD",
           "-t nat -D NMANAGER_EX_CLUS_OUTPUT 1",
           "-t nat -I NMANAGER_EX_CLUS_OUTPUT 2 -p tcp -j ACCEPT",
           "-t nat -A NMANAGER_EX_CLUS_PREROUTING -m statistic --mode nth --every 2 --packet 0 "
           "-j RETURN",
           "-t nat -R NMANAGER_MARK_MASQ 1 -j MARK --set-xmark 0x1/0x1",
           "-R NMANAGER_DROP_INVALID_INPUT 1 -j ACCEPT",
           "-t nat -N NMANAGER_STRAY",
           "-t nat -D PREROUTING -j NMANAGER_PREROUTING; iptables -t nat -A PREROUTING -j "
           "NMANAGER_PREROUTING",
           "-D INPUT -j NMANAGER_INPUT; iptables -A INPUT -m comment --comment x -j NMANAGER_INPUT",
           "-t nat -D OUTPUT -j NMANAGER_OUTPUT; iptables -t nat -F NMANAGER_OUTPUT; iptables -t "
           "nat -X NMANAGER_OUTPUT",
       }) {
    damages.push_back("iptables " + damage);
  }
  return damages;
}

std::vector<std::string> damages_of_the_table() {
  const std::string table = "inet nmanager ";
  return {"nft delete table " + table,
          "nft flush table " + table,
          "nft flush chain " + table + "NMANAGER_INPUT",
          "nft flush chain " + table + "NMANAGER_FORWARD",
          "nft flush chain " + table + "NMANAGER_DROP_INVALID_FWD",
          "nft flush chain " + table + "NMANAGER_EX_CLUS_PREROUTING",
          "nft insert rule " + table + "NMANAGER_INPUT accept",
          "nft add chain " + table + "NMANAGER_STRAY",
          "nft flush map " + table + "cluster_ipv4",
          "nft flush set " + table + "external_ipv6",
          "nft delete element " + table + "external_ipv4 '{ 192.0.2.10 . tcp . 80 }'",
          "nft add element " + table + "external_ipv4 '{ 192.0.2.66 . tcp . 80 }'",
          "nft add table inet nmanager '{ flags dormant; }'",
          "nft add chain " + table + "NMANAGER_INPUT '{ policy drop; }'"};
}

}  // namespace

TEST_CASE("chains as the administrator sees them") {
  Node node;
  if (!node.usable()) return;
  fill(node);
  add_kube_chains(node);
  const Sidecar sidecar(node);
  REQUIRE_MESSAGE(eventually([&] { return sidecar.settled(); }), sidecar.log());
  CHECK(node.misplaced() == "");
  if (native()) {
    const std::string table = node.our_rules();
    for (const char* part :
         {"192.0.2.10 . tcp . 443 comment \"default/web\" : 10.96.0.10",
          "2001:db8::10 . tcp . 80 comment \"default/web\" : fd96::10",
          "ip saddr 10.244.0.0/16 ip daddr . meta l4proto . th dport @external_ipv4 meta mark set "
          "meta mark | 0x00004000 dnat ip to",
          "ct state invalid jump NMANAGER_DROP_INVALID_INPUT"}) {
      CHECK_MESSAGE(table.find(part) != std::string::npos, table);
    }
    return;
  }
  const std::string rules = node.sh("iptables -t nat -S NMANAGER_EX_CLUS_PREROUTING");
  CHECK(rules.find("-A NMANAGER_EX_CLUS_PREROUTING -s 10.244.0.0/16 -d 192.0.2.10/32 -p tcp -m "
                   "multiport --dports 80,443 -m comment --comment \"default/web\" -j DNAT "
                   "--to-destination 10.96.0.10") != std::string::npos);
  CHECK(node.sh("iptables -S NMANAGER_DROP_INVALID_INPUT")
            .find("-m conntrack --ctstate INVALID -j DROP") != std::string::npos);
  // Every rule can be found by the text that shows it.
  std::istringstream lines(rules);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("-A ")) node.sh("iptables -t nat -C " + line.substr(3));
  }
}

TEST_CASE("every damage is repaired, and foreign rules stay as they are") {
  Node node;
  if (!node.usable()) return;
  fill(node);
  add_foreign_rules(node);
  add_kube_chains(node);
  const std::string foreign = node.foreign_rules();
  Sidecar sidecar(node, {"--rule-drop-invalid-forward-enable", "true"});
  REQUIRE_MESSAGE(eventually([&] { return sidecar.settled(); }), sidecar.log());
  const std::string ours = node.our_rules();
  REQUIRE(ours.find("192.0.2.11") != std::string::npos);
  for (const std::string& damage : native() ? damages_of_the_table() : damages_of_chains()) {
    CAPTURE(damage);
    const auto before = sidecar.metric("nmanager_table_repairs_total").value_or(0);
    run("PATH=" + node.folder() + "/bin:$PATH; " + damage);
    CHECK(eventually([&] {
      return sidecar.metric("nmanager_table_repairs_total").value_or(0) > before &&
             node.our_rules() == ours && node.misplaced().empty();
    }));
  }
  CHECK(node.foreign_rules() == foreign);
  REQUIRE(sidecar.terminate() == 0);
  CHECK(node.our_rules() == ours);  // the rules outlive the process
  const auto cleaned = nmanager(node, "cleanup --backend " + backend());
  CHECK_MESSAGE(cleaned.exit_code == 0, cleaned.output);
  CHECK(node.our_rules() == "");
  CHECK(node.foreign_rules() == foreign);
}

TEST_CASE("all tables flushed and emptied, as a firewall's reload does") {
  Node node;
  if (!node.usable()) return;
  fill(node);
  add_kube_chains(node);
  const Sidecar sidecar(node);
  REQUIRE_MESSAGE(eventually([&] { return sidecar.settled(); }), sidecar.log());
  const std::string ours = node.our_rules();
  for (int i = 0; i < 5; ++i) {
    for (const std::string tables : {"iptables", "ip6tables"}) {
      for (const std::string table : {"nat", "filter"}) {
        run("PATH=" + node.folder() + "/bin:$PATH; " + tables + " -t " + table + " -F; " + tables +
            " -t " + table + " -X");
      }
    }
    if (native()) node.sh("nft flush ruleset");
    add_kube_chains(node);
    CHECK(eventually([&] { return node.our_rules() == ours && node.misplaced().empty(); }));
  }
}

TEST_CASE("an administrator's file that begins with flush ruleset, loaded again and again") {
  if (variant() == "legacy") return;  // it does not affect iptables-legacy
  Node node;
  if (!node.usable()) return;
  fill(node);
  const Sidecar sidecar(node);
  REQUIRE_MESSAGE(eventually([&] { return sidecar.settled(); }), sidecar.log());
  const std::string ours = node.our_rules();
  const std::string file =
      "flush ruleset\ntable inet site {\nchain input {\ntype filter hook input "
      "priority 5\ntcp dport 9 drop\n}\n}\n";
  for (int i = 0; i < 60; ++i) node.sh("nft -f -", file);
  CHECK_MESSAGE(eventually([&] { return node.our_rules() == ours && sidecar.settled(); },
                           std::chrono::seconds(40)),
                sidecar.log());
  CHECK(node.sh("nft list table inet site").find("tcp dport 9 drop") != std::string::npos);
  CHECK(sidecar.alive());
}

TEST_CASE("killed at any moment, a new start converges") {
  Node node;
  if (!node.usable()) return;
  fill(node);
  add_kube_chains(node);
  std::string ours;
  {
    const Sidecar sidecar(node);
    REQUIRE_MESSAGE(eventually([&] { return sidecar.settled(); }), sidecar.log());
    ours = node.our_rules();
  }
  std::mt19937 random(20261124);
  for (int i = 0; i < 15; ++i) {
    if (i % 3 == 0) {  // the chain may not exist yet
      run("PATH=" + node.folder() + "/bin:$PATH; " +
          node.flush_command("nat", "NMANAGER_EX_CLUS_PREROUTING"));
    }
    if (i % 3 == 1) nmanager(node, "cleanup --backend " + backend());
    Sidecar sidecar(node);
    std::this_thread::sleep_for(std::chrono::milliseconds(random() % 60));
    sidecar.kill_at_once();
  }
  const Sidecar sidecar(node);
  REQUIRE_MESSAGE(eventually([&] { return sidecar.settled(); }), sidecar.log());
  CHECK(node.our_rules() == ours);
  CHECK(node.misplaced() == "");
}

TEST_CASE("Services are added, changed and removed") {
  Node node;
  if (!node.usable()) return;
  fill(node);
  add_kube_chains(node);
  const Sidecar sidecar(node);
  REQUIRE_MESSAGE(eventually([&] { return sidecar.settled(); }), sidecar.log());
  const std::string before = node.our_rules();
  const auto shows = [&](const std::string& text) {
    return eventually([&] { return node.our_rules().find(text) != std::string::npos; });
  };
  for (int i = 0; i < 40; ++i) {  // flat chains become a tree
    const std::string n = std::to_string(i);
    node.api().services().put(
        to_json({"s" + n, {"10.96.1." + n}, {"198.51.100." + n}, {"TCP:80"}}));
  }
  CHECK(shows("198.51.100.39"));
  if (!native()) CHECK(shows("NMANAGER_PRE_"));
  node.api().services().put(R"({"metadata":{"namespace":"default","name":"bad"},"spec":"?"})");
  CHECK(eventually([&] { return sidecar.log().find("default/bad") != std::string::npos; }));
  for (int i = 0; i < 40; ++i) node.api().services().remove("default/s" + std::to_string(i));
  CHECK(eventually([&] { return node.our_rules() == before; }));
  node.api().services().put(to_json({"web", {"10.96.0.10"}, {"192.0.2.99"}, {"TCP:8080"}}));
  CHECK(shows("192.0.2.99"));
  CHECK(eventually([&] { return node.our_rules().find("192.0.2.10") == std::string::npos; }));
  // The API server is gone: the rules stay, and are still repaired.
  node.api().fail_next({.kind = Fault::Kind::kStatus, .status = 503});
  node.api().drop_connections(true);
  const std::string last = node.our_rules();
  node.flush("nat", "NMANAGER_EX_CLUS_OUTPUT");
  CHECK(eventually([&] { return node.our_rules() == last; }));
}

TEST_CASE("outside IPVS mode only the INVALID drop is in place, with a warning") {
  Node node;
  if (!node.usable()) return;
  fill(node);
  add_kube_chains(node);
  const Sidecar sidecar(node,
                        {"--proxy-mode", "iptables", "--rule-external-cluster-enable", "true"});
  REQUIRE_MESSAGE(eventually([&] { return sidecar.settled(); }), sidecar.log());
  const std::string ours = node.our_rules();
  CHECK_FALSE(translate(ours));
  CHECK(drop_invalid(ours));
  CHECK(sidecar.log().find("warning RULE_EXTERNAL_CLUSTER_ENABLE=true is not obeyed") !=
        std::string::npos);
  CHECK(sidecar.get("/readyz?verbose").find("is not obeyed") != std::string::npos);
  CHECK(sidecar.metric("nmanager_warnings").value_or(0) >= 1);
}

TEST_CASE("with both rules off nmanager removes all its rules, and is ready") {
  Node node;
  if (!node.usable()) return;
  fill(node);
  add_kube_chains(node);
  const std::string before = node.foreign_rules();
  {
    const Sidecar sidecar(node);
    REQUIRE_MESSAGE(eventually([&] { return sidecar.settled(); }), sidecar.log());
    REQUIRE(node.our_rules() != "");
  }
  const Sidecar leaving(node, {"--rule-drop-invalid-input-enable", "false",
                               "--rule-external-cluster-enable", "false"});
  CHECK_MESSAGE(eventually([&] { return leaving.ready(); }), leaving.get("/readyz?verbose"));
  CHECK(node.our_rules() == "");
  CHECK(node.foreign_rules() == before);
}

TEST_CASE("bad settings end the start with one message that names them all") {
  Node node;
  if (!node.usable()) return;
  const auto result =
      nmanager(node, "run --pod-cidr-ipv4 nonsense --listen 192.0.2.1:80 --backend maybe");
  CHECK(result.exit_code != 0);
  for (const char* part : {"pod-cidr-ipv4", "listen", "backend"}) {
    CHECK_MESSAGE(result.output.find(part) != std::string::npos, result.output);
  }
  CHECK(node.our_rules() == "");
}

}  // namespace nmanager::test
