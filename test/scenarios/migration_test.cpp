// A node on which network-node-manager has run, or still runs: chains of the same names, other
// rules. What it writes: its pkg/rules and pkg/iptables (v1.3.0).
#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <sstream>
#include <vector>

#include "test/scenarios/node.h"

namespace nmanager::test {
namespace {

/// It checks before it writes, so a second run changes nothing. Includes an address that no Service
/// has any more: it leaves such rules behind.
constexpr const char* kOriginal = R"sh(
chain() { iptables -t "$1" -N "$2" 2>/dev/null; }
first() { local t=$1 c=$2; shift 2; iptables -t "$t" -C "$c" "$@" 2>/dev/null || iptables -t "$t" -I "$c" 1 "$@"; }
last() { local t=$1 c=$2; shift 2; iptables -t "$t" -C "$c" "$@" 2>/dev/null || iptables -t "$t" -A "$c" "$@"; }
for table in nat raw; do
  for hook in PREROUTING OUTPUT; do
    chain $table NMANAGER_$hook
    first $table $hook -j NMANAGER_$hook
  done
done
chain filter NMANAGER_INPUT
first filter INPUT -j NMANAGER_INPUT
chain filter NMANAGER_DROP_INVALID_INPUT
first filter NMANAGER_DROP_INVALID_INPUT -m conntrack --ctstate INVALID -j DROP
first filter NMANAGER_INPUT -j NMANAGER_DROP_INVALID_INPUT
for hook in PREROUTING OUTPUT; do
  chain raw NMANAGER_NOT_DNS_$hook
  first raw NMANAGER_NOT_DNS_$hook -p udp -m udp --dport 53 -j CT --notrack
  first raw NMANAGER_$hook -j NMANAGER_NOT_DNS_$hook
  chain nat NMANAGER_EX_CLUS_$hook
  first nat NMANAGER_$hook -j NMANAGER_EX_CLUS_$hook
done
for service in default/web,192.0.2.10,10.96.0.10 default/gone,192.0.2.99,10.96.0.99; do
  IFS=, read -r name external cluster <<<"$service"
  pre="-m comment --comment $name -s 10.244.0.0/16 -d $external"
  out="-m comment --comment $name -m addrtype --src-type LOCAL -d $external"
  last nat NMANAGER_EX_CLUS_PREROUTING $pre -j KUBE-MARK-MASQ
  last nat NMANAGER_EX_CLUS_PREROUTING $pre -j DNAT --to-destination $cluster
  last nat NMANAGER_EX_CLUS_OUTPUT $out -j KUBE-MARK-MASQ
  last nat NMANAGER_EX_CLUS_OUTPUT $out -j DNAT --to-destination $cluster
done
true
)sh";

void run_original(const Node& node) {
  const std::string script = node.folder() + "/original.sh";
  std::ofstream(script) << kOriginal;
  node.sh("bash " + script);
}

void prepare(Node& node) {
  node.api().services().put(
      to_json({"web", {"10.96.0.10"}, {"192.0.2.10"}, {"TCP:80", "TCP:443"}}));
  node.sh("iptables-restore --noflush",
          "*nat\n:KUBE-SERVICES - [0:0]\n:KUBE-MARK-MASQ - [0:0]\n"
          "-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000\n"
          "-I PREROUTING -j KUBE-SERVICES\n-I OUTPUT -j KUBE-SERVICES\nCOMMIT\n"
          "*raw\n-A PREROUTING -p udp -m udp --dport 4789 -j CT --notrack\nCOMMIT\n");
}

/// Tables show their chains in the order in which they were made: chain by chain, rules in order.
std::string by_chain(const std::string& rules) {
  std::istringstream in(rules);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  const auto chain = [](const std::string& line) {
    const std::size_t start = line.starts_with(':') ? 1 : 3;
    return line.substr(start, line.find(' ', start) - start);
  };
  std::ranges::stable_sort(lines, {}, chain);
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

/// The indented lines of deploy/README.md about the table raw.
std::string command_for_raw() {
  std::ifstream in(NMANAGER_SOURCE_DIR "/deploy/README.md");
  std::string command;
  bool inside = false;
  for (std::string line; std::getline(in, line);) {
    inside = line.starts_with("    ") && (inside || line.find("for tool in") != std::string::npos);
    if (inside) command += line.substr(4) + "\n";
  }
  return command;
}

}  // namespace

TEST_CASE("the chains of network-node-manager are taken over") {
  if (senseless_natively("no chains with the same names")) return;
  Node node;
  if (!node.usable()) return;
  prepare(node);
  const std::string foreign = node.foreign_rules();
  run_original(node);
  REQUIRE(node.our_rules().find("192.0.2.99") != std::string::npos);
  REQUIRE(node.our_rules().find("KUBE-MARK-MASQ") != std::string::npos);
  std::string taken_over;
  {
    const Sidecar sidecar(node);
    REQUIRE_MESSAGE(eventually([&] { return sidecar.settled(); }), sidecar.log());
    CHECK(node.misplaced() == "");
    taken_over = by_chain(node.our_rules());
    CHECK(sidecar.metric("nmanager_table_contested") == 0);
  }
  CHECK(taken_over.find("192.0.2.99") == std::string::npos);
  CHECK(taken_over.find("KUBE-MARK-MASQ") == std::string::npos);  // kube-proxy can remove it again
  CHECK(node.foreign_rules() == foreign);
  REQUIRE(nmanager(node, "cleanup --backend iptables-" + variant()).exit_code == 0);
  CHECK(node.our_rules() == "");
  const Sidecar sidecar(node);
  REQUIRE_MESSAGE(eventually([&] { return sidecar.settled(); }), sidecar.log());
  CHECK(by_chain(node.our_rules()) == taken_over);  // as if the original had never been there
}

TEST_CASE("a network-node-manager that still runs does no harm") {
  if (senseless_natively("no chains with the same names")) return;
  Node node;
  if (!node.usable()) return;
  prepare(node);
  const std::string foreign = node.foreign_rules();
  const Sidecar sidecar(node);
  REQUIRE_MESSAGE(eventually([&] { return sidecar.settled(); }), sidecar.log());
  const std::string ours = node.our_rules();
  for (int i = 0; i < 3; ++i) {
    run_original(node);
    CHECK(eventually([&] { return node.our_rules() == ours && node.misplaced().empty(); }));
  }
  CHECK(sidecar.metric("nmanager_table_repairs_total", "table=\"nat\"").value_or(0) >= 3);
  CHECK(sidecar.metric("nmanager_table_repairs_total", "table=\"filter\"") == 0);  // both want that
  if (variant() == "nft") CHECK(sidecar.log().find("changed by iptables") != std::string::npos);
  CHECK(node.foreign_rules() == foreign);
  CHECK(sidecar.alive());
}

TEST_CASE("the documented command removes what network-node-manager leaves in the table raw") {
  Node node;
  if (!node.usable()) return;
  prepare(node);
  const std::string foreign = node.sh("iptables -t raw -S");
  run_original(node);
  REQUIRE(node.sh("iptables -t raw -S").find("NMANAGER_NOT_DNS_OUTPUT") != std::string::npos);
  const std::string script = node.folder() + "/raw.sh";
  std::ofstream(script) << command_for_raw() << "true\n";
  node.sh("bash " + script);
  CHECK(node.sh("iptables -t raw -S") == foreign);
}

}  // namespace nmanager::test
