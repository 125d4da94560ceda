// The table on the real kernel: its content in nft's output, repairs, no other changes.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "test/unit/nftables/sandbox.h"

namespace nmanager::test {
using namespace nmanager::nftables;

namespace {

Wishes some_wishes() {
  Wishes wishes;
  wishes.exemptions.interfaces = {"eth1", "cali+"};
  wishes.exemptions.sources = {*Prefix::parse("203.0.113.0/25"), *Prefix::parse("2001:db8:1::/49")};
  wishes.exemptions.destinations = {*Prefix::parse("198.51.100.7/32")};
  wishes.addresses = {external("192.0.2.1", "10.96.0.1"), external("2001:db8::1", "fd00:96::1"),
                      external("192.0.2.2", "10.96.0.2", "default/closed")};
  wishes.addresses.back().allowed_sources = {*Prefix::parse("10.244.3.0/24"),
                                             *Prefix::parse("10.0.0.0/10")};
  return wishes;
}

bool has(const Outcome& outcome, Cause cause) {
  return std::ranges::any_of(outcome.findings,
                             [&](const Finding& finding) { return finding.cause == cause; });
}

/// TCP 80 and UDP 53 each; `cluster`: the second byte of what they are translated to.
std::vector<ExternalAddress> many_addresses(int count, int cluster) {
  std::vector<ExternalAddress> all;
  for (int i = 0; i < count; ++i) {
    const std::string number = std::to_string(i / 250) + "." + std::to_string(i % 250 + 1);
    all.push_back(external("198.18." + number, "10." + std::to_string(cluster) + "." + number));
  }
  return all;
}

std::size_t elements_with(const std::string& data) {
  const std::string text = must("nft list map inet nmanager cluster_ipv4");
  std::size_t count = 0;
  for (std::size_t at = 0; (at = text.find(": " + data, at)) != std::string::npos; ++at) ++count;
  return count;
}

}  // namespace

TEST_CASE("many addresses are written in parts, which a rule leads to from the first one on") {
  Sandbox sandbox;
  if (!sandbox.usable()) return;
  constexpr std::size_t kAddresses = 6'000;
  constexpr std::size_t kAtOnce = 4'096;
  Wishes wishes;
  wishes.drop = false;
  wishes.addresses = many_addresses(kAddresses, 96);
  const auto native = native_backend();
  const auto of_nat = [&] {
    std::vector<Goal> all = goals(wishes);
    std::erase_if(all, [](const Goal& goal) {
      return goal.id != TableId{Family::kIpv4, Table::kNat};
    });
    return all;
  };
  const auto wanted = of_nat();
  SyncReport report = native.backend->sync(wanted, {}).front();
  REQUIRE(report.left == kAddresses - kAtOnce);
  CHECK_FALSE(report.verified);
  CHECK(report.committed);
  CHECK(report.udp.after.all->addresses.size() == kAtOnce);
  CHECK(elements_with("10.96.") == 2 * kAtOnce);
  report = native.backend->sync(wanted, {}).front();
  CHECK(report.verified);
  CHECK_FALSE(report.left.has_value());
  CHECK(report.udp.after.rules.size() == 2 * (kAddresses - kAtOnce));
  CHECK(elements_with("10.96.") == 2 * kAddresses);
  CHECK_FALSE(native.backend->sync(wanted, {}).front().committed);

  // Each address has its old or its new element: one part changes, the rest stays.
  wishes.addresses = many_addresses(kAddresses, 97);
  const auto changed = of_nat();
  CHECK(native.backend->sync(changed, {}).front().left == kAddresses - kAtOnce);
  CHECK(elements_with("10.97.") == 2 * kAtOnce);
  CHECK(elements_with("10.96.") == 2 * (kAddresses - kAtOnce));
  CHECK(native.backend->sync(changed, {}).front().verified);
  CHECK(elements_with("10.97.") == 2 * kAddresses);

  // Rules alone are missing: all of UDP is new, and no element is written.
  must("nft flush table inet nmanager");
  report = native.backend->sync(changed, {}).front();
  CHECK(report.verified);
  CHECK(report.udp.after.all->addresses.size() == kAddresses);

  // What a former process left is not taken down for a first part.
  auto other = native_backend();
  report = other.backend->sync(wanted, {}).front();
  REQUIRE(report.left.has_value());  // only some of it was read
  CHECK_FALSE(report.committed);
  CHECK(elements_with("10.97.") == 2 * kAddresses);
  CHECK(other.backend->sync(wanted, {}).front().verified);
  CHECK(elements_with("10.96.") == 2 * kAddresses);
  wishes.settings.match = MatchBy::kAddress;
  other = native_backend();
  sync(*other.backend, of_nat());
  wishes.external = false;
  report = other.backend->sync(of_nat(), {}).front();
  CHECK(report.verified);
  CHECK(report.udp.before.all->addresses.size() == kAddresses);
}

TEST_CASE("a new process reads large sets one after another, and writes what differs") {
  Sandbox sandbox;
  if (!sandbox.usable()) return;
  Wishes wishes;
  wishes.drop = false;
  wishes.addresses = many_addresses(9'000, 96);  // 18,000 elements in each of two sets
  sync(*native_backend().backend, goals(wishes));
  const auto table = content();
  const TableId nat{Family::kIpv4, Table::kNat};
  const auto report_of_nat = [&](Backend& backend) {
    const auto wanted = goals(wishes);
    auto reports = backend.sync(wanted, {});
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      if (wanted[i].id == nat) return reports[i];
    }
    return SyncReport{};
  };
  bool committed = false;
  SUBCASE("nothing") {}
  SUBCASE("some addresses") {
    committed = true;
    must("nft -f -",
         "delete element inet nmanager external_ipv4 { 198.18.0.7 . tcp . 80 }\n"
         "add element inet nmanager external_ipv4 { 192.0.2.9 . tcp . 80 }\n"
         "delete element inet nmanager cluster_ipv4 { 198.18.0.9 . udp . 53 }\n"
         "add element inet nmanager cluster_ipv4 { 198.18.0.9 . udp . 53 : 10.9.9.9 }\n");
  }
  SUBCASE("a chain that a rule leads to") {
    committed = true;
    must("nft flush chain inet nmanager NMANAGER_EX_CLUS_OUTPUT");
  }
  const auto native = native_backend();
  const SyncReport first = report_of_nat(*native.backend);
  REQUIRE(first.left.has_value());
  CHECK_FALSE(first.committed);
  SyncReport last = first;
  while (last.left) last = report_of_nat(*native.backend);
  CHECK(last.verified);
  CHECK(last.committed == committed);
  CHECK(content() == table);
  CHECK_FALSE(sync(*native.backend, goals(wishes)).committed);
  CHECK(native_backend().backend->plan_text(goals(wishes)).text.empty());
}

TEST_CASE("created from nothing, verified by the same backend, by a new one, and by nft") {
  Sandbox sandbox;
  if (!sandbox.usable()) return;
  for (const MatchBy by : {MatchBy::kPort, MatchBy::kAddress}) {
    Wishes wishes = some_wishes();
    wishes.settings.match = by;
    const auto wanted = goals(wishes);
    const auto native = native_backend();
    CHECK(sync(*native.backend, wanted).committed);
    const auto table = content();
    CHECK_FALSE(sync(*native.backend, wanted).committed);
    CHECK_FALSE(sync(*native_backend().backend, wanted).committed);
    // nft can load its own output (it then generates one more expression).
    must("nft -f -", "flush ruleset\n" + must("nft list table inet nmanager"));
    CHECK(content() == table);
    sync(*native_backend().backend, wanted);
    CHECK(content() == table);
    // The plan as text has the same effect as the commit.
    must("nft flush ruleset");
    const PlanText plan = native_backend().backend->plan_text(wanted);
    CHECK(plan.problems.empty());
    must("nft -f -", plan.text);
    CHECK(content() == table);
    sync(*native_backend().backend, wanted);
    CHECK(content() == table);
    CHECK(native_backend().backend->plan_text(wanted).text.empty());
  }
}

TEST_CASE("every kind of damage is found, named and repaired, with minimal writes") {
  Sandbox sandbox;
  if (!sandbox.usable()) return;
  struct Damage {
    const char* commands;  // of nft
    Cause cause;
  };
  const Damage damages[] = {
      {"flush ruleset", Cause::kChainMissing},
      {"delete table inet nmanager", Cause::kChainMissing},
      {"flush table inet nmanager", Cause::kRuleMissing},
      {"flush chain inet nmanager NMANAGER_INPUT", Cause::kRuleMissing},
      {"flush chain inet nmanager NMANAGER_EX_CLUS_OUTPUT", Cause::kRuleMissing},
      {"insert rule inet nmanager NMANAGER_INPUT accept", Cause::kRuleForeign},
      {"add rule inet nmanager NMANAGER_EX_CLUS_PREROUTING ip saddr 10.0.0.0/8 return comment "
       "\"IPv4 nat\"",
       Cause::kRuleForeign},
      {"add chain inet nmanager extra { type filter hook forward priority 0; policy drop; }",
       Cause::kChainLeftOver},
      {"flush set inet nmanager external_ipv4", Cause::kElementMissing},
      {"flush map inet nmanager cluster_ipv6", Cause::kElementMissing},
      {"delete element inet nmanager cluster_ipv4 { 192.0.2.1 . tcp . 80 }",
       Cause::kElementMissing},
      {"add element inet nmanager external_ipv4 { 192.0.2.9 . tcp . 80 }", Cause::kElementForeign},
      {"add element inet nmanager restricted_ipv4 { 1.2.3.4-1.2.3.9 . 192.0.2.9 . tcp . 80-90 }",
       Cause::kElementForeign},
      {"delete element inet nmanager cluster_ipv4 { 192.0.2.1 . tcp . 80 }; add element inet "
       "nmanager cluster_ipv4 { 192.0.2.1 . tcp . 80 : 10.96.0.66 }",
       Cause::kElementForeign},
      {"add set inet nmanager extra { type ipv4_addr; }", Cause::kSetLeftOver},
      {"add table inet nmanager { flags dormant; }", Cause::kTableAltered},
      {"add chain inet nmanager NMANAGER_INPUT { policy drop; }", Cause::kChainMissing},
  };
  const auto native = native_backend();
  const auto wanted = goals(some_wishes());
  sync(*native.backend, wanted);
  const auto table = content();
  for (const Damage& damage : damages) {
    CAPTURE(std::string(damage.commands));
    must("nft -f -", damage.commands);
    const Outcome repair = sync(*native.backend, wanted);
    CHECK(has(repair, damage.cause));
    INFO(listed());
    CHECK(content() == table);
    CHECK_FALSE(sync(*native.backend, wanted).committed);
    // A backend without knowledge of the change finds it too.
    must("nft -f -", damage.commands);
    CHECK(has(sync(*native_backend().backend, wanted), damage.cause));
    CHECK(content() == table);
  }
}

TEST_CASE("chains with another hook and sets of another type under our names are replaced") {
  Sandbox sandbox;
  if (!sandbox.usable()) return;
  const auto wanted = goals(some_wishes());
  const auto native = native_backend();
  sync(*native.backend, wanted);
  const auto table = content();
  must("nft -f -",
       "delete table inet nmanager\n"
       "table inet nmanager { comment \"kept by nmanager, layout 1\"\n"
       "  set external_ipv4 { type ipv4_addr; }\n"
       "  chain NMANAGER_INPUT { type filter hook forward priority 0; }\n"
       "  chain NMANAGER_OUTPUT { type nat hook output priority 0; ip daddr @external_ipv4 accept "
       "comment \"IPv4 nat\"\n}\n}\n");
  const Outcome outcome = sync(*native.backend, wanted);
  CHECK(has(outcome, Cause::kSetAltered));
  CHECK(content() == table);
}

TEST_CASE(
    "foreign objects are not changed: other tables, and a table of our name without our mark") {
  Sandbox sandbox;
  if (!sandbox.usable()) return;
  must("nft -f -",
       "table ip kube-proxy { chain services { type nat hook prerouting priority -100; counter\n}\n"
       "}\n"
       "table inet other { set s { type ipv4_addr\nelements = { 1.2.3.4 }\n}\n}\n"
       "table ip nmanager { chain NMANAGER_INPUT { counter\n}\n}\n");
  const std::string foreign = must("nft list ruleset");
  const auto native = native_backend();
  sync(*native.backend, goals(some_wishes()));
  CHECK(must("nft list ruleset").find(foreign) == 0);
  Wishes nothing;
  nothing.drop = nothing.external = false;
  CHECK(sync(*native.backend, goals(nothing)).committed);
  CHECK(must("nft list ruleset") == foreign);

  must("nft -f -", "table inet nmanager { chain c { counter\n}\n}");
  const std::string strangers = must("nft list ruleset");
  for (const SyncReport& report : native.backend->sync(goals(some_wishes()), {})) {
    REQUIRE(report.error.has_value());
    CHECK(report.error->kind == ErrorKind::kDenied);
    CHECK(report.error->message.find("delete or rename it") != std::string::npos);
  }
  CHECK_FALSE(sync(*native.backend, goals(nothing)).committed);
  CHECK(must("nft list ruleset") == strangers);
}

TEST_CASE("an older layout of our table is replaced in one transaction") {
  Sandbox sandbox;
  if (!sandbox.usable()) return;
  const auto native = native_backend();
  const auto wanted = goals(some_wishes());
  sync(*native.backend, wanted);
  const auto table = content();
  must("nft -f -",
       "delete table inet nmanager; table inet nmanager { comment \"kept by nmanager, "
       "layout 0\"; chain NMANAGER_INPUT { type filter hook input priority 0; drop\n}\n}");
  CHECK(has(sync(*native.backend, wanted), Cause::kTableAltered));
  CHECK(content() == table);
}

TEST_CASE("one part at a time: the others stay as they are") {
  Sandbox sandbox;
  if (!sandbox.usable()) return;
  const auto native = native_backend();
  const auto all = goals(some_wishes());
  for (const Goal& goal : all) CHECK(sync(*native.backend, {goal}).committed);
  const auto table = content();
  CHECK_FALSE(sync(*native_backend().backend, all).committed);
  Wishes nothing;
  nothing.drop = nothing.external = false;
  const auto none = goals(nothing);
  // Remove one, the others stay; add it again.
  for (std::size_t i = 0; i < all.size(); ++i) {
    CHECK(sync(*native.backend, {none[i]}).committed);
    CHECK(listed().find("comment \"" + to_string(all[i].id)) == std::string::npos);
    for (std::size_t j = 0; j < all.size(); ++j) {
      if (j != i) CHECK(listed().find("comment \"" + to_string(all[j].id)) != std::string::npos);
    }
    CHECK(sync(*native.backend, {all[i]}).committed);
    CHECK_FALSE(sync(*native_backend().backend, all).committed);
  }
  for (const Goal& goal : none) sync(*native.backend, {goal});
  CHECK(must("nft list tables") == "");
}

TEST_CASE("one Service changes: only elements are written, no rule") {
  Sandbox sandbox;
  if (!sandbox.usable()) return;
  const auto native = native_backend();
  Wishes wishes = some_wishes();
  sync(*native.backend, goals(wishes));
  const std::string handles = must("nft -a list table inet nmanager | grep -o 'handle [0-9]*'");
  wishes.addresses.push_back(external("192.0.2.3", "10.96.0.3"));
  wishes.addresses.front().cluster = *Address::parse("10.96.0.77");
  wishes.addresses.erase(wishes.addresses.begin() + 1);
  CHECK(sync(*native.backend, goals(wishes)).committed);
  CHECK(must("nft -a list table inet nmanager | grep -o 'handle [0-9]*'") == handles);
  const std::string table = listed();
  CHECK(table.find("192.0.2.3 . tcp . 80 comment \"default/web\" : 10.96.0.3") !=
        std::string::npos);
  CHECK(table.find("10.96.0.77") != std::string::npos);
  CHECK(table.find("10.96.0.1,") == std::string::npos);
  CHECK(table.find("2001:db8::1") == std::string::npos);
  CHECK_FALSE(sync(*native_backend().backend, goals(wishes)).committed);
}

TEST_CASE("the drop rules keep their counters, reported for each family, hook and kind") {
  Sandbox sandbox;
  if (!sandbox.usable()) return;
  const auto native = native_backend();
  Wishes wishes;
  sync(*native.backend, goals(wishes));
  must("nft -f -",
       "flush chain inet nmanager NMANAGER_DROP_INVALID_INPUT\n"
       "flush chain inet nmanager NMANAGER_DROP_INVALID_FWD\n"
       "add rule inet nmanager NMANAGER_DROP_INVALID_INPUT meta nfproto ipv4 counter packets 7 "
       "bytes 700 drop comment \"IPv4 filter\"\n"
       "add rule inet nmanager NMANAGER_DROP_INVALID_INPUT meta nfproto ipv6 counter packets 5 "
       "bytes 500 drop comment \"IPv6 filter\"\n"
       "add rule inet nmanager NMANAGER_DROP_INVALID_FWD meta nfproto ipv4 counter packets 3 "
       "bytes 500 drop comment \"IPv4 filter\"\n");
  const auto counts = [&](const std::vector<Goal>& wanted) {
    std::vector<InvalidCounts> result;
    for (const SyncReport& report : native.backend->sync(wanted, {})) {
      InvalidCounts seen = report.invalid;
      std::erase_if(seen, [](const auto& one) { return one.second == 0; });
      result.push_back(std::move(seen));
    }
    return result;
  };
  const std::vector<InvalidCounts> expected{
      {{{Hook::kInput, true, true}, 7}, {{Hook::kForward, true, false}, 3}},
      {},
      {{{Hook::kInput, true, true}, 5}},
      {}};
  CHECK(counts(goals(wishes)) == expected);
  wishes.exemptions.sources = {*Prefix::parse("10.0.0.0/8")};
  CHECK(counts(goals(wishes)) == expected);
  CHECK(counts(goals(wishes)) == expected);
  CHECK(listed().find("ip saddr 10.0.0.0/8 return") < listed().find("counter drop"));
}

TEST_CASE("more changes to our table than fit into the event queue: all are found") {
  Sandbox sandbox;
  if (!sandbox.usable()) return;
  const auto native = native_backend();
  const auto wanted = goals(some_wishes());
  sync(*native.backend, wanted);
  const auto table = content();
  std::string flood;
  for (int i = 0; i < 30'000; ++i) {
    flood += "add element inet nmanager external_ipv4 { 10." + std::to_string(i >> 16) + "." +
             std::to_string(i >> 8 & 255) + "." + std::to_string(i & 255) + " . tcp . 80 }\n";
  }
  must("nft -f -", flood);
  must("nft -f -", "flush chain inet nmanager NMANAGER_INPUT");
  const Outcome repair = sync(*native.backend, wanted);
  CHECK(has(repair, Cause::kElementForeign));
  CHECK(has(repair, Cause::kRuleMissing));
  CHECK(content() == table);
  CHECK_FALSE(sync(*native.backend, wanted).committed);
}

TEST_CASE("two backends keep one table, and each sees the other's changes") {
  Sandbox sandbox;
  if (!sandbox.usable()) return;
  const auto one = native_backend();
  const auto two = native_backend({.poll_only = true});
  Wishes wishes = some_wishes();
  for (int i = 0; i < 20; ++i) {
    wishes.addresses.push_back(external("198.51.100." + std::to_string(i), "10.96.3.1"));
    const auto& writer = i % 2 == 0 ? one : two;
    const auto& reader = i % 2 == 0 ? two : one;
    CHECK(sync(*writer.backend, goals(wishes)).committed);
    const auto written = content();
    // Without events its known elements may be stale for a while: a refused commit shows this.
    sync(*reader.backend, goals(wishes));
    CHECK(content() == written);
  }
}

}  // namespace nmanager::test
