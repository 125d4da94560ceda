// Other agents that keep their own rules on a node. A small script for each does repeatedly what
// the agent does to the tables, with a shorter period: after the first time neither side repairs
// anything. (README, "Other agents"; kube-router is in the backends' own tests.)
#include <doctest/doctest.h>

#include <chrono>
#include <regex>
#include <string>
#include <utility>
#include <vector>

#include "test/scenarios/node.h"

namespace nmanager::test {
namespace {

struct Agent {
  std::string name;
  /// Once, at its start.
  std::string install;
  /// At each of its periods; prints a line "repaired" for each rule that it had to put back.
  std::string check;
  /// Rewrites its own rules at each period, whatever is there.
  bool rewrites = false;
};

/// `-C`, else `-I` (or `-A`), as most of them do it.
std::string keep(const std::string& how, const std::string& chain, const std::string& rule) {
  const auto [table, hook] =
      std::pair(chain.substr(0, chain.find(' ')), chain.substr(chain.find(' ') + 1));
  std::string script;
  for (const std::string tables : {"iptables -w", "ip6tables -w"}) {
    script += tables + " -t " + table + " -C " + hook + " " + rule + " 2>/dev/null || { echo " +
              "repaired; " + tables + " -t " + table + " " + how + " " + hook + " " + rule +
              "; }\n";
  }
  return script;
}

std::string in_both(const std::string& arguments) {
  return "iptables -w " + arguments + "\nip6tables -w " + arguments + "\n";
}

/// The rule has to be the first of its hook, else it is taken out and inserted there again: Felix
/// with ChainInsertMode=Insert (felix/iptables/table.go), every 180 s.
std::string keep_first(const std::string& table, const std::string& hook, const std::string& rule) {
  std::string script;
  for (const std::string tables : {"iptables -w", "ip6tables -w"}) {
    const std::string in = tables + " -t " + table;
    const std::string target = rule.substr(rule.rfind(' ') + 1);
    script += in + " -S " + hook + " | grep -m1 ^-A | grep -q -- '-j " + target +
              "$' || { echo repaired; while " + in + " -D " + hook + " " + rule +
              " 2>/dev/null; do :; done; " + in + " -I " + hook + " 1 " + rule + "; }\n";
  }
  return script;
}

Agent calico() {
  Agent agent{"Calico", "", "", false};
  const std::vector<std::pair<std::string, std::string>> hooks{
      {"filter", "INPUT"}, {"filter", "FORWARD"}, {"nat", "PREROUTING"}, {"nat", "OUTPUT"}};
  for (const auto& [table, hook] : hooks) {
    agent.install += in_both("-t " + table + " -N cali-" + hook);
    agent.check +=
        keep_first(table, hook, "-m comment --comment cali:" + hook + " -j cali-" + hook);
  }
  return agent;
}

/// prependIptablesChains, the default: its feeder rules go to the head of each hook; at each
/// reinstallation (30 min) the old chains are renamed, new ones made and fed, the old ones removed
/// (pkg/datapath/iptables/iptables.go).
Agent cilium() {
  Agent agent{"Cilium", "", "", true};
  for (const std::string tables : {"iptables -w", "ip6tables -w"}) {
    for (const auto& [table, hook] :
         std::vector<std::pair<std::string, std::string>>{{"filter", "INPUT"},
                                                          {"filter", "FORWARD"},
                                                          {"nat", "PREROUTING"},
                                                          {"nat", "OUTPUT"}}) {
      const std::string in = tables + " -t " + table;
      const std::string chain = "CILIUM_" + hook;
      agent.check += in + " -E " + chain + " OLD_" + chain + " 2>/dev/null\n" + in + " -N " +
                     chain + "\n" + in + " -I " + hook +
                     " 1 -m comment --comment cilium-feeder -j " + chain + "\n" + in + " -D " +
                     hook + " -m comment --comment cilium-feeder -j OLD_" + chain +
                     " 2>/dev/null\n" + in + " -X OLD_" + chain + " 2>/dev/null\n";
    }
  }
  agent.check += "true\n";
  return agent;
}

/// Appends, and checks every 5 s (pkg/trafficmngr/iptables, ensureIPTables).
Agent flannel() {
  return {"flannel", in_both("-N FLANNEL-FWD") + in_both("-t nat -N FLANNEL-POSTRTG"),
          keep("-A", "filter FORWARD", "-m comment --comment flanneld -j FLANNEL-FWD") +
              keep("-A", "nat POSTROUTING", "-m comment --comment flanneld -j FLANNEL-POSTRTG"),
          false};
}

/// Every 60 s: its jump appended if it is missing, its chain rewritten with --noflush
/// (cmd/ip-masq-agent/ip-masq-agent.go, syncMasqRules).
Agent ip_masq_agent() {
  std::string rewrite;
  for (const std::string tables : {"iptables", "ip6tables"}) {
    rewrite +=
        "printf '*nat\\n:IP-MASQ-AGENT - [0:0]\\n-A IP-MASQ-AGENT -m addrtype ! --src-type "
        "LOCAL -j RETURN\\nCOMMIT\\n' | " +
        tables + "-restore -w --noflush\n";
  }
  return {
      "ip-masq-agent", in_both("-t nat -N IP-MASQ-AGENT"),
      keep("-A", "nat POSTROUTING",
           "-m addrtype ! --dst-type LOCAL -m comment --comment ip-masq-agent -j IP-MASQ-AGENT") +
          rewrite,
      true};
}

/// dockerd's start: its chains and jumps made if missing, DOCKER-USER put on top of FORWARD again
/// (libnetwork, arrangeUserFilterRule).
Agent docker() {
  std::string top;
  for (const std::string tables : {"iptables -w", "ip6tables -w"}) {
    top += tables + " -D FORWARD -j DOCKER-USER 2>/dev/null; " + tables +
           " -I FORWARD -j DOCKER-USER\n";
  }
  return {"Docker",
          in_both("-t nat -N DOCKER") + in_both("-N DOCKER") + in_both("-N DOCKER-USER") +
              in_both("-P FORWARD DROP"),
          keep("-A", "nat PREROUTING", "-m addrtype --dst-type LOCAL -j DOCKER") +
              keep("-A", "nat OUTPUT", "-m addrtype --dst-type LOCAL -j DOCKER") + top,
          true};
}

/// firewalld's reload with its nftables backend: only its own table, in one transaction.
Agent firewalld_nftables() {
  return {
      "firewalld, nftables", "",
      "nft -f - <<'EOF'\ntable inet firewalld\ndelete table inet firewalld\ntable inet firewalld "
      "{\nchain filter_INPUT {\ntype filter hook input priority 10\nct state "
      "established,related accept\n}\nchain nat_PREROUTING {\ntype nat hook prerouting priority "
      "-90\n}\n}\nEOF\n",
      true};
}

const char* const kFakeKubeProxy =
    "*nat\n:KUBE-SERVICES - [0:0]\n:KUBE-MARK-MASQ - [0:0]\n"
    "-A KUBE-SERVICES -m mark --mark 0x99 -j RETURN\n"
    "-A KUBE-MARK-MASQ -j MARK --or-mark 0x4000\n"
    "-I PREROUTING -j KUBE-SERVICES\n-I OUTPUT -j KUBE-SERVICES\nCOMMIT\n"
    "*filter\n:KUBE-FIREWALL - [0:0]\n-I INPUT -j KUBE-FIREWALL\nCOMMIT\n";

void add_kube_chains(const Node& node) {
  for (const std::string tables : {"iptables", "ip6tables"}) {
    node.sh(tables + "-restore --noflush", kFakeKubeProxy);
  }
}

void fill(Node& node) {
  node.api().services().put(to_json(
      {"web", {"10.96.0.10", "fd96::10"}, {"192.0.2.10", "2001:db8::10"}, {"TCP:80", "UDP:53"}}));
}

/// One period; returns how many of its rules it had to put back.
int turn(const Node& node, const Agent& agent) {
  const std::string said = node.sh(agent.check);
  int repaired = 0;
  for (std::size_t at = 0; (at = said.find("repaired", at)) != std::string::npos; ++at) ++repaired;
  return repaired;
}

/// Without counters: the agents' rules count the packets of the test itself.
std::string foreign_rules(const Node& node) {
  return std::regex_replace(node.foreign_rules(), std::regex("\\[[0-9]+:[0-9]+\\] "), "");
}

double repairs(const Sidecar& sidecar) {
  return sidecar.metric("nmanager_table_repairs_total").value_or(0);
}

/// Turns of the agent, each after nmanager has settled; neither side has to repair anything.
void live_side_by_side(const Node& node, const Sidecar& sidecar, const Agent& agent) {
  constexpr int kTurns = 5;
  REQUIRE(eventually([&] { return sidecar.settled() && node.misplaced().empty(); }));
  // The first turn may find the agent's rule displaced by ours, and ours then once by the agent's.
  for (int i = 0; i < 2; ++i) turn(node, agent);
  REQUIRE(eventually([&] { return sidecar.settled() && node.misplaced().empty(); }));
  const double ours = repairs(sidecar);
  const std::string foreign = foreign_rules(node);
  for (int i = 0; i < kTurns; ++i) {
    CHECK(turn(node, agent) == 0);
    CHECK(eventually([&] { return sidecar.settled(); }));
  }
  CHECK_MESSAGE(repairs(sidecar) == ours, sidecar.log());
  CHECK_MESSAGE(node.misplaced() == "", sidecar.log());
  CHECK(foreign_rules(node) == foreign);
}

}  // namespace

TEST_CASE(
    "other agents: after the first time neither side repairs anything, whichever came first") {
  for (const Agent& agent :
       {calico(), cilium(), flannel(), ip_masq_agent(), docker(), firewalld_nftables()}) {
    for (const bool agent_first : {true, false}) {
      CAPTURE(agent.name);
      CAPTURE(agent_first);
      Node node;
      if (!node.usable()) return;
      fill(node);
      add_kube_chains(node);
      if (agent_first) node.sh(agent.install + "true\n");
      if (agent_first) turn(node, agent);
      const Sidecar sidecar(node);
      REQUIRE_MESSAGE(eventually([&] { return sidecar.settled(); }), sidecar.log());
      if (!agent_first) node.sh(agent.install + "true\n");
      live_side_by_side(node, sidecar, agent);
    }
  }
}

/// With its iptables backend firewalld flushes all tables and deletes all chains, then loads its
/// own: all rules are gone at each reload, ours are back when the window is over.
TEST_CASE("firewalld's reload with its iptables backend succeeds, and our rules return after it") {
  Node node;
  if (!node.usable()) return;
  fill(node);
  add_kube_chains(node);
  const Sidecar sidecar(node);
  REQUIRE_MESSAGE(eventually([&] { return sidecar.settled(); }), sidecar.log());
  const std::string ours = node.our_rules();
  for (int i = 0; i < 3; ++i) {
    for (const std::string tables : {"iptables -w", "ip6tables -w"}) {
      for (const std::string table : {"nat", "filter"}) {
        // sh() fails when a command does: -X would, on a chain in use.
        node.sh(tables + " -t " + table + " -F && " + tables + " -t " + table + " -X");
        node.sh(tables + " -t " + table + " -N FWD-" + table);
      }
    }
    add_kube_chains(node);
    CHECK(eventually([&] { return node.our_rules() == ours && node.misplaced().empty(); }));
  }
}

}  // namespace nmanager::test
