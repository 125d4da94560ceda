// Commits on the real kernel: placement, policies, foreign rules, stale reads, refusals.
#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <thread>

#include "hooks/chains/sync.h"
#include "hooks/iptables_nft/probe.h"
#include "hooks/xt/payload.h"
#include "test/unit/iptables_nft/sandbox.h"

namespace nmanager::test {
using namespace nmanager::chains;
using namespace nmanager::iptables_nft;
using namespace nmanager::netlink;
using namespace nmanager::xt;
namespace {

/// Tables of iptables-legacy in the calling thread's namespace. Read from /proc, since a socket
/// option would create them.
std::string legacy_tables() {
  std::string result;
  for (const char* const names : {"ip_tables_names", "ip6_tables_names"}) {
    std::ifstream file(std::string("/proc/thread-self/net/") + names);
    for (std::string line; std::getline(file, line);) result += line + ' ';
  }
  return result;
}

TEST_CASE("all rules are created in each empty table, and removed again") {
  for (const TableId id : kTables) {
    const Sandbox sandbox;
    if (!sandbox.usable()) return;
    CAPTURE(to_string(id));
    const auto [nft, watch] = backend();
    CHECK(look(*nft, id).chains.empty());
    CHECK(run("nft list tables").output.empty());  // reading creates nothing

    apply(*nft, id, desired(id));
    CHECK(in_place(*nft, id, desired(id)));
    const std::string text = save(id);
    for (const Hook hook : desired(id).jumps) {
      const std::string name(to_string(hook));
      CHECK(text.find(':' + name + " ACCEPT [") != std::string::npos);
      CHECK(text.find("-A " + name + " -j NMANAGER_" + name) != std::string::npos);
      must(iptables(id) + " -C " + name + " -j NMANAGER_" + name);
    }
    CHECK(must("nft list tables") == (id.family == Family::kIpv4 ? "table ip " : "table ip6 ") +
                                         std::string(to_string(id.table)) + '\n');

    apply(*nft, id, DesiredTable{});
    CHECK(save(id).find("NMANAGER") == std::string::npos);
    CHECK(in_place(*nft, id, DesiredTable{}));
    CHECK(legacy_tables() == "");
  }
}

TEST_CASE("base chains are those of iptables-nft") {
  for (const TableId id : kTables) {
    std::vector<std::string> listings;
    for (const bool by_us : {true, false}) {
      const Sandbox sandbox;
      if (!sandbox.usable()) return;
      const auto [nft, watch] = backend();
      if (by_us) {
        apply(*nft, id, desired(id));
      } else {
        for (const Hook hook : desired(id).jumps) {
          must(iptables(id) + " -I " + std::string(to_string(hook)) + " -j RETURN");
        }
      }
      const std::string name(to_string(id.table));
      std::istringstream lines(must("nft list table " +
                                    std::string(id.family == Family::kIpv4 ? "ip " : "ip6 ") +
                                    name + " 2>/dev/null"));
      std::string types;
      for (std::string line; std::getline(lines, line);) {
        if (line.find("type ") != std::string::npos) types += line + '\n';
      }
      listings.push_back(types);
    }
    CHECK(!listings[0].empty());
    CHECK(listings[0] == listings[1]);
  }
}

TEST_CASE("an administrator's policy and foreign rules with their counters are kept") {
  const TableId id{Family::kIpv4, Table::kFilter};
  const Sandbox sandbox;
  if (!sandbox.usable()) return;
  restore(id,
          ":INPUT DROP [7:77]\n:THEIRS - [0:0]\n"
          "[5:50] -A INPUT -s 10.0.0.1/32 -j ACCEPT\n[6:60] -A INPUT -j THEIRS\n"
          "[1:10] -A THEIRS -m mark --mark 0x1 -j RETURN\n");
  const std::string before = save(id);
  const auto [nft, watch] = backend();
  apply(*nft, id, desired(id));
  const std::string with = save(id);
  for (const char* const line :
       {":INPUT DROP", "[5:50] -A INPUT -s 10.0.0.1/32 -j ACCEPT", "[6:60] -A INPUT -j THEIRS",
        "[1:10] -A THEIRS -m mark --mark 0x1 -j RETURN"}) {
    CHECK_MESSAGE(with.find(line) != std::string::npos, with);
  }
  CHECK(with.find("-A INPUT -j NMANAGER_INPUT") < with.find("-A INPUT -s 10.0.0.1"));
  apply(*nft, id, DesiredTable{});
  CHECK(save(id) == before);
}

TEST_CASE("our jump is placed before the first KUBE jump, at any position") {
  const TableId id{Family::kIpv4, Table::kNat};
  const Sandbox sandbox;
  if (!sandbox.usable()) return;
  restore(id,
          ":KUBE-SERVICES - [0:0]\n-A PREROUTING -p tcp -j RETURN\n"
          "-A PREROUTING -m comment --comment x -j KUBE-SERVICES\n-A OUTPUT -j KUBE-SERVICES\n");
  const auto [nft, watch] = backend();
  apply(*nft, id, desired(id));
  CHECK(must(iptables(id) + " -S PREROUTING") ==
        "-P PREROUTING ACCEPT\n-A PREROUTING -p tcp -j RETURN\n"
        "-A PREROUTING -j NMANAGER_PREROUTING\n"
        "-A PREROUTING -m comment --comment x -j KUBE-SERVICES\n");

  must(iptables(id) + " -D PREROUTING -m comment --comment x -j KUBE-SERVICES");
  must(iptables(id) + " -I PREROUTING -j KUBE-SERVICES");
  must(iptables(id) + " -A PREROUTING -p udp -g NMANAGER_PREROUTING");
  const auto plan = make_plan(id, desired(id), look(*nft, id));
  REQUIRE(plan.hooks.size() == 1);
  apply(*nft, id, desired(id));
  CHECK(must(iptables(id) + " -S PREROUTING") ==
        "-P PREROUTING ACCEPT\n-A PREROUTING -j NMANAGER_PREROUTING\n"
        "-A PREROUTING -j KUBE-SERVICES\n-A PREROUTING -p tcp -j RETURN\n");
}

TEST_CASE("chains are edited in place: kept rules keep counters, order is as desired") {
  const TableId id{Family::kIpv4, Table::kNat};
  const Sandbox sandbox;
  if (!sandbox.usable()) return;
  const auto rule_to = [](int number) {
    Rule rule;
    rule.destination = Prefix::host(address("192.0.2." + std::to_string(number)));
    rule.target = Return{};
    return rule;
  };
  const auto table_of = [&](const std::vector<int>& numbers) {
    DesiredTable table;
    auto& rules = table.chains[ChainName("NMANAGER_X")];
    for (const int number : numbers) rules.push_back(rule_to(number));
    return table;
  };
  const auto [nft, watch] = backend();
  const std::vector<std::vector<int>> states{{1, 2, 3}, {3, 1, 2}, {4, 3, 5, 1, 6, 7}, {7},
                                             {},        {8, 9},    {9, 10, 8, 11}};
  for (const auto& state : states) {
    apply(*nft, id, table_of(state));
    CHECK(in_place(*nft, id, table_of(state)));
  }
  restore(id,
          "-F NMANAGER_X\n[9:900] -A NMANAGER_X -d 192.0.2.2/32 -j RETURN\n"
          "-A NMANAGER_X -m mark --mark 1 -j RETURN\n");
  apply(*nft, id, table_of({1, 2, 3}));
  CHECK(save(id).find("[0:0] -A NMANAGER_X -d 192.0.2.1/32 -j RETURN\n"
                      "[9:900] -A NMANAGER_X -d 192.0.2.2/32 -j RETURN\n"
                      "[0:0] -A NMANAGER_X -d 192.0.2.3/32 -j RETURN\n") != std::string::npos);
  const ObservedTable observed = look(*nft, id);
  CHECK(observed.chains.at(ChainName("NMANAGER_X"))[1].packets == 9);
}

TEST_CASE("a chain that a foreign chain jumps to is emptied, kept and reported") {
  const TableId id{Family::kIpv6, Table::kNat};
  const Sandbox sandbox;
  if (!sandbox.usable()) return;
  const auto [nft, watch] = backend();
  apply(*nft, id, desired(id));
  restore(id, ":THEIRS - [0:0]\n-A THEIRS -j NMANAGER_CONTENT\n-A THEIRS -j NMANAGER_OUTPUT\n");
  const Commit commit = apply(*nft, id, DesiredTable{});
  CHECK(commit.still_referenced ==
        std::set{ChainName("NMANAGER_CONTENT"), ChainName("NMANAGER_OUTPUT")});
  const ObservedTable observed = look(*nft, id);
  CHECK(observed.chains.size() == 2);
  CHECK(observed.chains.at(ChainName("NMANAGER_CONTENT")).empty());
  CHECK(make_plan(id, DesiredTable{}, observed, commit.still_referenced).empty());
  // A repeated attempt changes nothing, and does not treat another writer's generation as ours.
  CHECK(apply(*nft, id, DesiredTable{}).still_referenced == commit.still_referenced);
  static_cast<void>(watch->drain());
  must(iptables(id) + " -F THEIRS");
  CHECK(watch->drain().size() == 1);
  CHECK(apply(*nft, id, DesiredTable{}).still_referenced.empty());
  CHECK(look(*nft, id).chains.empty());
}

TEST_CASE("nothing is written after a stale read") {
  const TableId id{Family::kIpv4, Table::kNat};
  const Sandbox sandbox;
  if (!sandbox.usable()) return;
  const auto [nft, watch] = backend();
  auto transaction = nft->begin(id);
  REQUIRE(transaction.ok());
  must(iptables(id) + " -A PREROUTING -j RETURN");
  const std::string before = save(id);
  const auto plan = make_plan(id, desired(id), (*transaction)->observed());
  const auto commit = (*transaction)->commit(plan);
  REQUIRE_FALSE(commit.ok());
  CHECK(commit.error().kind == ErrorKind::kRetry);
  CHECK(save(id) == before);
  CHECK(sync_table(*nft, id, desired(id), {}, {}).verified);
}

TEST_CASE("a missing table is not created unless that is allowed") {
  const Sandbox sandbox;
  if (!sandbox.usable()) return;
  NftOptions options;
  options.create_tables = false;
  const auto [nft, watch] = backend(options);
  for (const TableId id : kTables) {
    const auto begun = nft->begin(id);
    REQUIRE_FALSE(begun.ok());
    CHECK(begun.error().kind == ErrorKind::kAbsent);
  }
  CHECK(run("nft list tables").output.empty());
  must("iptables-nft -t nat -N ANY");
  CHECK(nft->begin({Family::kIpv4, Table::kNat}).ok());
}

TEST_CASE("a missing kernel feature is named") {
  const Sandbox sandbox;
  if (!sandbox.usable()) return;
  Netlink netlink;
  for (const Family family : kFamilies) {
    Rule all;
    all.source_is_local = all.state_invalid = true;
    all.protocol = Protocol::kSctp;
    all.destination_ports = {{1, 1}};
    all.comment = "x";
    std::vector<Extension> needed = extensions_of(all);
    all.target = SetMark{};
    CHECK(extensions_of(all).size() == needed.size() + 1);
    all.target = Dnat{};
    needed = extensions_of(all);
    CHECK(needed.size() == 5);
    CHECK_FALSE(missing_extension(netlink, family, needed).has_value());

    needed.push_back({"nosuchthing", 0, false});
    auto missing = missing_extension(netlink, family, needed);
    REQUIRE(missing.has_value());
    CHECK(missing->kind == ErrorKind::kUnsupported);
    CHECK(missing->message == "kernel lacks xt match \"nosuchthing\" for nft (nft_compat)");
    missing = missing_extension(netlink, family, {{xt::kDnat.name, 77, true}});
    REQUIRE(missing.has_value());
    CHECK(missing->message == "kernel lacks xt target \"DNAT\" for nft (nft_compat)");
  }
}

}  // namespace
}  // namespace nmanager::test
