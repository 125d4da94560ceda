// Random histories of Services and settings, computed incrementally and as a whole: intent, chains,
// digests, plans and elements are the same after each step.
#include <doctest/doctest.h>

#include <algorithm>
#include <iterator>
#include <random>
#include <string>

#include "hooks/chains/chain_table.h"
#include "hooks/chains/external_chains.h"
#include "hooks/chains/plan.h"
#include "hooks/chains/udp_change.h"
#include "hooks/chains/wish.h"
#include "hooks/nftables/comparison.h"
#include "hooks/nftables/text.h"
#include "hooks/nftables/udp_change.h"
#include "plugin/services/backlog.h"
#include "plugin/services/catalog.h"
#include "test/support/sanitized.h"

using namespace nmanager;
using namespace nmanager::chains;
using namespace nmanager::services;

namespace {

constexpr int kHistories = test::random_cases(2000);
constexpr int kSteps = 8;

class Dice {
 public:
  explicit Dice(unsigned seed) : engine_(seed) {}
  std::size_t below(std::size_t end) {
    return std::uniform_int_distribution<std::size_t>(0, end - 1)(engine_);
  }
  bool one_in(std::size_t n) { return below(n) == 0; }
  template <class T>
  const T& of(const std::vector<T>& list) {
    return list[below(list.size())];
  }

 private:
  std::mt19937 engine_;
};

Address v4(std::size_t a, std::size_t b, std::size_t c, std::size_t d) {
  const std::array<std::uint8_t, 4> bytes{
      static_cast<std::uint8_t>(a), static_cast<std::uint8_t>(b), static_cast<std::uint8_t>(c),
      static_cast<std::uint8_t>(d)};
  return {Family::kIpv4, bytes};
}

/// Dense and sparse, of both families; few, so that Services share addresses.
Address some_address(Dice& dice) {
  const std::string n = std::to_string(dice.below(64));
  switch (dice.below(6)) {
    case 0:
      return v4(198, 18, 0, dice.below(32));
    case 1:
      return v4(198, 18, dice.below(256), dice.below(4));
    case 2:
      return v4(20 + dice.below(200), dice.below(4), 0, 1);
    case 3:
      return *Address::parse("2001:db8::" + n);  // names of chains are hashes there
    case 4:
      return *Address::parse("2001:db8:" + n + "::1");
    default:
      return *Address::parse("fd" + std::to_string(10 + dice.below(90)) + "::1");
  }
}

Prefix some_range(Dice& dice) {
  switch (dice.below(5)) {
    case 0:
      return *Prefix::parse("10.0.0.0/8");
    case 1:
      return Prefix(v4(10, 244, dice.below(4), 0), 24);
    case 2:
      return *Prefix::parse("0.0.0.0/0");
    case 3:
      return *Prefix::parse("fd00::/16");
    default:
      return Prefix(v4(203, 0, 113, dice.below(256)), static_cast<int>(dice.below(33)));
  }
}

Service some_service(Dice& dice, std::size_t names) {
  Service service;
  service.key = "ns/service-" + std::to_string(dice.below(names));
  service.type = dice.one_in(8) ? ServiceType::kClusterIp : ServiceType::kLoadBalancer;
  service.external_policy_local = !dice.one_in(8);
  service.internal_policy_local = dice.one_in(16);
  service.headless = dice.one_in(32);
  service.cluster_ips = {v4(10, 96, 0, 1 + dice.below(200))};
  if (!dice.one_in(4)) {
    service.cluster_ips.add(*Address::parse("fd96::" + std::to_string(dice.below(200))));
  }
  for (std::size_t i = dice.below(4); i > 0; --i) {
    service.ingress.push_back({some_address(dice), !dice.one_in(16)});
  }
  while (dice.one_in(4)) service.external_ips.push_back(some_address(dice));
  while (dice.one_in(4)) service.source_ranges.push_back(some_range(dice));
  const std::vector<Protocol> protocols{Protocol::kTcp, Protocol::kUdp, Protocol::kSctp};
  for (std::size_t i = dice.one_in(16) ? 40 : dice.below(4); i > 0; --i) {
    const auto port = static_cast<std::uint16_t>(dice.one_in(3) ? 80 : 1 + dice.below(200));
    service.ports.push_back({dice.of(protocols), port});
  }
  std::ranges::sort(service.ports);
  // Not std::ranges: clang 14 does not accept libstdc++'s subrange.
  service.ports.erase(std::unique(service.ports.begin(), service.ports.end()), service.ports.end());
  if (dice.one_in(32)) service.malformed.emplace_back("spec.loadBalancerSourceRanges[0]");
  return service;
}

QualifySettings some_settings(Dice& dice) {
  QualifySettings settings;
  settings.any_external_policy = dice.one_in(3);
  settings.match = dice.one_in(3) ? MatchBy::kAddress : MatchBy::kPort;
  while (dice.one_in(3)) settings.api_servers.push_back({some_address(dice), 80});
  return settings;
}

ExternalClusterSettings some_rules(Dice& dice, Family family, MatchBy match) {
  ExternalClusterSettings settings;
  settings.match = match;
  settings.masquerade_bit = dice.one_in(4) ? 15 : 14;
  if (dice.one_in(4)) return settings;
  settings.pod_cidr = Prefix::parse(family == Family::kIpv4 ? "10.244.0.0/16" : "fd00:10::/56");
  if (dice.one_in(6)) settings.pod_cidr = Prefix(settings.pod_cidr->address(), 0);
  return settings;
}

/// The table as a kernel has it: exactly the desired rules, each with its index as its reference.
ObservedTable stands(const DesiredTable& desired) {
  ObservedTable observed;
  for (const auto& [name, rules] : desired.chains) {
    ObservedChain& chain = observed.chains[name];
    for (const Rule& rule : rules) chain.push_back({rule, chain.size(), 0});
  }
  for (const Hook hook : hooks_of(Table::kNat)) {
    observed.hooks[hook];
    if (std::ranges::find(desired.jumps, hook) == desired.jumps.end()) continue;
    observed.hooks[hook].push_back({HookRule::Kind::kOwnJump, 0});
  }
  return observed;
}

/// The table as a backend shows it that knows the digests of the existing chains.
ObservedTable differences_of(const ObservedTable& observed, const ChainDigests& stand,
                             const ChainDigests& expected) {
  ObservedTable result;
  result.hooks = observed.hooks;
  result.only_differences = true;
  for (const auto& [name, digest] : stand.chains) {
    const auto wanted = expected.chains.find(name);
    if (wanted != expected.chains.end() && wanted->second == digest) continue;
    result.chains[name] = observed.chains.at(name);
  }
  for (const auto& wanted : expected.chains) {
    if (!stand.chains.contains(wanted.first)) result.missing.insert(wanted.first);
  }
  return result;
}

/// What the side does, whichever way its rules group ports.
std::set<std::string> by_port(const UdpSide& side, const ExternalAddresses& addresses) {
  std::set<std::string> result;
  for (const auto& entry : addresses.map()) {
    for (const UdpRule& rule : side.at(entry.first)) {
      for (int port = rule.ports.first; port <= rule.ports.last; ++port) {
        result.insert(to_string(rule.external) + " " + std::to_string(port) + " " +
                      (rule.source ? to_string(*rule.source) : "any") +
                      (rule.source_is_local ? " local " : " ") + to_string(rule.to));
        if (rule.ports == PortRange{0, 65535}) break;
      }
    }
  }
  return result;
}

/// One family, computed both ways.
class Tables {
 public:
  explicit Tables(Family family) : id_{family, Table::kNat}, chains_(family) {}

  void take(const ExternalAddresses& kept, const std::vector<ExternalAddress>& all,
            const ExternalClusterSettings& settings) {
    const ExternalCluster whole = external_cluster(id_.family, all, settings);
    REQUIRE(kept == whole.addresses);
    REQUIRE(kept.digest() == whole.addresses.digest());
    const auto spec = std::make_shared<const TableSpec>(ExternalCluster{kept, settings});
    REQUIRE(digest_of(*spec) == digest_of(TableSpec(whole)));
    compare_chains(*external_of(*spec), external_cluster_chains(whole));
    compare_elements(spec, whole);
  }

 private:
  void compare_chains(const ExternalCluster& spec, const DesiredTable& desired) {
    const ChainDigests before = chains_.digests();
    chains_.update(spec);
    const ChainDigests digests = digests_of(desired);
    REQUIRE(chains_.digests().chains == digests.chains);
    REQUIRE(chains_.digests().sum == digests.sum);
    REQUIRE(chains_.rules() == rule_count(desired));
    REQUIRE(chains_.check(5) != ExternalChains::Check::kMended);
    if (chains_.digests().changed) told_all_changes(before, digests);
    std::vector<ChainName> names;
    for (const auto& chain : desired.chains) names.push_back(chain.first);
    REQUIRE(chains_.chains(names) == desired);
    WholeWish whole(desired);
    ExternalWish wish(chains_);
    REQUIRE(by_port(wish.udp(), spec.addresses) == by_port(whole.udp(), spec.addresses));

    const ObservedTable all = stands(table_);
    const ObservedTable some = differences_of(all, digests_of(table_), digests);
    const DesiredTable part = wish.for_plan(some);
    const TablePlan plan = make_plan(id_, desired, all);
    const TablePlan kept = make_plan(id_, part, some);
    REQUIRE(to_restore_text(kept) == to_restore_text(plan));
    REQUIRE(kept.findings == plan.findings);
    const UdpChange udp = udp_change(desired, all, plan, false, [&] { return whole.udp(); });
    const UdpChange kept_udp = udp_change(part, some, kept, false, [&] { return wish.udp(); });
    REQUIRE(kept_udp.before.rules == udp.before.rules);
    REQUIRE(by_port(kept_udp.after, spec.addresses) == by_port(udp.after, spec.addresses));
    table_ = desired;
  }

  void told_all_changes(const ChainDigests& before, const ChainDigests& after) {
    REQUIRE(chains_.digests().before == before.sum);
    std::set<ChainName> differing;
    for (const auto& entry : before.chains) {
      const auto now = after.chains.find(entry.first);
      if (now == after.chains.end() || now->second != entry.second) differing.insert(entry.first);
    }
    for (const auto& entry : after.chains) {
      if (!before.chains.contains(entry.first)) differing.insert(entry.first);
    }
    const auto& told = *chains_.digests().changed;
    REQUIRE(differing == std::set<ChainName>(told.begin(), told.end()));
  }

  void compare_elements(const std::shared_ptr<const TableSpec>& spec, const TableSpec& whole) {
    using namespace nftables;
    const Ruleset ruleset = render(id_, whole);
    std::size_t count = 0;
    for (const auto& set : ruleset.sets) count += set.second->size();
    elements_ = elements_after(elements_, standing_.get(), *spec);
    REQUIRE(elements_ == count);
    if (standing_ && same_frame(*standing_, *spec)) compare_plans(spec, ruleset);
    standing_ = spec;
  }

  void compare_plans(const std::shared_ptr<const TableSpec>& spec,
                     const nftables::Ruleset& ruleset) {
    using namespace nftables;
    Observed observed;
    observed.exists = true;
    Standing standing;
    const Ruleset old = render(id_, *standing_);
    for (const auto& [name, rules] : old.chains) {
      auto& chain = observed.chains[name.str()];
      chain.base = base_of(name.str());
      for (const NativeRule& rule : rules) {
        chain.rules.push_back({rule, rule.part, chain.rules.size(), 0});
      }
    }
    for (const auto& set : old.sets) {
      standing[set.first] = standing_;
      observed.sets[name_of(set.first)].is_map = set.first.kind == SetKind::kCluster;
    }
    Observed full = observed;
    for (const auto& set : old.sets) full.sets[name_of(set.first)].elements = set.second;
    const std::vector<Goal> goals{{id_, spec}};
    const Wanted frames{{id_, std::make_shared<const Ruleset>(render_frame(id_, *spec))}};
    const Wanted wanted{{id_, std::make_shared<const Ruleset>(ruleset)}};
    const auto kept = compare(goals, frames, observed, standing, false);
    const auto all = compare(goals, frames, observed, standing, true);
    const Plan plan = make_plan(wanted, full);
    REQUIRE(to_text(make_plan(kept.wanted, kept.observed)) == to_text(plan));
    REQUIRE(to_text(make_plan(all.wanted, all.observed)) == to_text(plan));
    const UdpChange udp = nftables::udp_change(goals.front(), {wanted, full}, {}, plan);
    const UdpChange kept_udp = nftables::udp_change(goals.front(), kept, standing, plan);
    REQUIRE_FALSE(udp.after.all.has_value());  // nothing but elements
    REQUIRE(kept_udp.before.rules == udp.before.rules);
    REQUIRE(kept_udp.after.rules == udp.after.rules);
  }

  TableId id_;
  ExternalChains chains_;
  DesiredTable table_;
  std::shared_ptr<const TableSpec> standing_;
  std::size_t elements_ = 0;
};

/// The catalog takes it in parts.
void take_list(Dice& dice, std::vector<Service> list, ServiceStore& store, Catalog& catalog) {
  const std::vector<std::string> keep{"ns/service-0"};
  Backlog backlog;
  backlog.replace(catalog.changes_to(list, keep), keep);
  CHECK(backlog.list_taken() == backlog.empty());
  while (!backlog.list_taken()) {
    backlog.move_to(catalog, 1 + dice.below(50));
    if (dice.one_in(2)) catalog.settle();
  }
  CHECK(backlog.empty());
  ListChanges changes = store.changes_to(std::move(list), keep);
  for (Service& service : changes.changed) CHECK(store.upsert(std::move(service)));
  for (const std::string& key : changes.removed) CHECK(store.remove(key));
}

}  // namespace

TEST_CASE("the incremental result is the same as the whole computation") {
  std::size_t contested = 0;
  std::size_t most_chains = 0;
  for (unsigned seed = 0; seed < kHistories; ++seed) {
    CAPTURE(seed);
    Dice dice(seed);
    const std::size_t names = 1 + dice.below(dice.one_in(4) ? 120 : 12);
    ServiceStore store;
    Catalog catalog;
    Tables ipv4(Family::kIpv4);
    Tables ipv6(Family::kIpv6);
    QualifySettings settings;
    ExternalClusterSettings rules4 = some_rules(dice, Family::kIpv4, settings.match);
    ExternalClusterSettings rules6 = some_rules(dice, Family::kIpv6, settings.match);
    for (int step = 0; step < kSteps; ++step) {
      CAPTURE(step);
      if (step == 0 || dice.one_in(8)) {
        std::vector<Service> list;
        for (std::size_t i = 0; i < names; ++i) list.push_back(some_service(dice, names));
        take_list(dice, std::move(list), store, catalog);
      }
      for (std::size_t i = dice.below(4); i > 0; --i) {
        const Service one = some_service(dice, names);
        if (dice.one_in(3)) {
          CHECK(store.remove(one.key) == catalog.remove(one.key));
        } else {
          CHECK(store.upsert(one) == catalog.upsert(one));
        }
      }
      if (dice.one_in(8)) {
        settings = some_settings(dice);
        rules4 = some_rules(dice, Family::kIpv4, settings.match);
        rules6 = some_rules(dice, Family::kIpv6, settings.match);
      }
      catalog.configure(settings);
      catalog.settle();
      const Qualified all = qualify_all(store, settings);
      REQUIRE(catalog.skipped() == all.skipped);
      REQUIRE(catalog.examples() == all.examples);
      REQUIRE(catalog.services_with_rules() == all.services_with_rules);
      ipv4.take(catalog.addresses(Family::kIpv4), all.addresses, rules4);
      ipv6.take(catalog.addresses(Family::kIpv6), all.addresses, rules6);
      for (std::size_t part = 0; part < 3; ++part)
        REQUIRE_FALSE(catalog.check(part, 3).has_value());
      if (all.skipped.contains("conflict")) ++contested;
      most_chains = std::max(most_chains, catalog.addresses(Family::kIpv6).size());
    }
  }
  // Otherwise the histories would not cover conflicts and large trees.
  CHECK(contested > kHistories / 4);
  CHECK(most_chains > kFlatAddresses);
}
