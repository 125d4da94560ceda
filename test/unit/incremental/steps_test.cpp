// The cost of work as its input grows.
#include <doctest/doctest.h>

#include <functional>
#include <string>

#include "hooks/chains/chain_table.h"
#include "hooks/chains/external_chains.h"
#include "hooks/chains/plan.h"
#include "hooks/chains/wish.h"
#include "hooks/intent/sources.h"
#include "hooks/nftables/comparison.h"
#include "plugin/services/backlog.h"
#include "plugin/services/catalog.h"
#include "test/unit/incremental/steps.h"

using namespace nmanager;
using namespace nmanager::chains;
using namespace nmanager::services;
using test::steps_of;

namespace {

constexpr TableId kNat4{Family::kIpv4, Table::kNat};

Address address(int a, int b, std::size_t n) {
  const std::array<std::uint8_t, 4> bytes{
      static_cast<std::uint8_t>(a), static_cast<std::uint8_t>(b), static_cast<std::uint8_t>(n >> 8),
      static_cast<std::uint8_t>(n)};
  return {Family::kIpv4, bytes};
}

Service service(std::size_t n) {
  Service result;
  result.key = "default/service-" + std::to_string(n);
  result.type = ServiceType::kLoadBalancer;
  result.external_policy_local = true;
  result.cluster_ips = {address(10, 96, n)};
  result.ingress = {{address(198, 18, n), true}};
  result.ports = {{Protocol::kTcp, 80}, {Protocol::kUdp, 53}};
  return result;
}

std::vector<Service> many(std::size_t count) {
  std::vector<Service> all;
  for (std::size_t n = 0; n < count; ++n) all.push_back(service(n));
  return all;
}

ExternalCluster spec_of(const Catalog& catalog) {
  ExternalClusterSettings settings;
  settings.pod_cidr = Prefix::parse("10.244.0.0/16");
  return {catalog.addresses(Family::kIpv4), settings};
}

void take(Catalog& catalog, std::vector<Service> list) {
  Backlog backlog;
  backlog.replace(catalog.changes_to(std::move(list), {}), {});
  while (!backlog.empty()) backlog.move_to(catalog, 1'000);
}

ExternalCluster spec_of(std::size_t count) {
  Catalog catalog;
  take(catalog, many(count));
  catalog.settle();
  return spec_of(catalog);
}

std::vector<Rule> one_chain(std::size_t count, std::size_t from) {
  std::vector<Rule> rules(count);
  for (std::size_t n = 0; n < count; ++n) {
    rules[n].destination = Prefix::host(address(20, 0, from + n));
    rules[n].target = Drop{};
  }
  return rules;
}

TablePlan plan_of_one_chain(std::size_t wanted, std::size_t seen, std::size_t seen_from) {
  const ChainName name("NMANAGER_OUT_1");
  DesiredTable desired;
  desired.chains[name] = one_chain(wanted, 0);
  ObservedTable observed;
  for (Rule& rule : one_chain(seen, seen_from)) observed.chains[name].push_back({rule, 0, 0});
  return make_plan(kNat4, desired, observed);
}

using Work = std::function<void(std::size_t)>;
struct Case {
  const char* name;
  std::size_t size;
  Work work;
};

/// The steps for `size`, without those that create the input.
std::uint64_t cost(const Case& one, std::size_t size) {
  return steps_of([&] { one.work(size); });
}

}  // namespace

TEST_CASE("twice the input takes little more than twice the steps") {
  const Case cases[] = {
      {"source ranges, disjoint", 4000,
       [](std::size_t n) {
         std::vector<Prefix> ranges;
         for (std::size_t i = 0; i < n; ++i) ranges.emplace_back(address(20, 0, i), 32);
         CHECK(outermost(ranges, Family::kIpv4).size() == n);
       }},
      {"source ranges, one inside the other", 4000,
       [](std::size_t n) {
         std::vector<Prefix> ranges;
         for (std::size_t i = 0; i < n; ++i) ranges.emplace_back(address(20, 0, i), i % 33);
         CHECK(outermost(ranges, Family::kIpv4).size() == 1);
       }},
      {"one Service: addresses, ranges, malformed fields", 1000,
       [](std::size_t n) {
         Service one = service(0);
         one.ports.resize(1);
         for (std::size_t i = 0; i < n; ++i) {
           one.ingress.push_back({address(198, 19, i), true});
           one.external_ips.push_back(*Address::parse("2001:db8::1"));
           one.malformed.push_back("spec.externalIPs[" + std::to_string(i) + "]");
         }
         one.source_ranges = {*Prefix::parse("10.0.0.0/8")};
         CHECK(qualify(one, {}).addresses.size() == n + 1);
       }},
      {"a list of Services", 2000,
       [](std::size_t n) {
         Catalog catalog;
         take(catalog, many(n));
         catalog.settle();
         CHECK(catalog.addresses(Family::kIpv4).size() == n);
       }},
      {"a list of Services that share one address", 2000,
       [](std::size_t n) {
         Catalog catalog;
         std::vector<Service> all = many(n);
         for (std::size_t i = 0; i < n; ++i) {
           all[i].ingress.front().ip = address(198, 18, 0);
           all[i].ports = {{Protocol::kTcp, static_cast<std::uint16_t>(i + 1)}};
         }
         take(catalog, std::move(all));
         catalog.settle();
         CHECK(catalog.addresses(Family::kIpv4).size() == 1);
       }},
      {"the reference of the same", 2000,
       [](std::size_t n) {
         Catalog catalog;
         take(catalog, many(n));
         CHECK_FALSE(catalog.check().has_value());
       }},
      {"all chains", 2000,
       [](std::size_t n) {
         ExternalChains chains(Family::kIpv4);
         chains.update(spec_of(n));
         CHECK(chains.whole().chains.size() > n / 8);
       }},
      {"all elements", 2000,
       [](std::size_t n) {
         CHECK(nftables::size_of(nftables::render(kNat4, spec_of(n))) > 2 * n);
       }},
      {"a chain that is missing", 2000,
       [](std::size_t n) { CHECK_FALSE(plan_of_one_chain(n, 0, 0).empty()); }},
      {"a chain of others' rules", 2000,
       [](std::size_t n) { CHECK_FALSE(plan_of_one_chain(n, n, n).empty()); }},
      {"a chain that half differs", 2000,
       [](std::size_t n) { CHECK_FALSE(plan_of_one_chain(n, n, n / 2).empty()); }},
  };
  for (const Case& one : cases) {
    const auto once = cost(one, one.size);
    const auto twice = cost(one, 2 * one.size);
    CAPTURE(one.name);
    CAPTURE(once);
    CAPTURE(twice);
    CHECK(once > one.size);
    CHECK(twice <= once * 5 / 2);
  }
}

namespace {

/// The steps when one of `count` Services gets another address, from the event to the plan.
struct CostOfChange {
  std::uint64_t chains = 0;
  std::uint64_t elements = 0;
};

CostOfChange change_one_of(std::size_t count) {
  Catalog catalog;
  take(catalog, many(count));
  catalog.settle();
  auto before = std::make_shared<const TableSpec>(spec_of(catalog));
  ExternalChains chains(Family::kIpv4);
  chains.update(*external_of(*before));
  std::shared_ptr<const TableSpec> after;
  const auto event = steps_of([&] {
    Service changed = service(count / 2);
    changed.cluster_ips = {address(10, 97, 0)};
    catalog.upsert(std::move(changed));
    catalog.settle();
    after = std::make_shared<const TableSpec>(spec_of(catalog));
    CHECK(digest_of(*after) != digest_of(*before));
  });
  CostOfChange cost;
  cost.chains = event + steps_of([&] {
                  chains.update(*external_of(*after));
                  REQUIRE(chains.digests().changed.has_value());
                  CHECK_FALSE(chains.chains(*chains.digests().changed).chains.empty());
                });
  const std::vector<Goal> goals{{kNat4, after}};
  nftables::Wanted frames;
  frames[kNat4] = std::make_shared<const nftables::Ruleset>(nftables::render_frame(kNat4, *after));
  nftables::Observed observed;
  observed.exists = true;
  nftables::Standing standing;
  for (const auto& set : frames[kNat4]->sets) {
    standing[set.first] = before;
    observed.sets[nftables::name_of(set.first)] = {};
  }
  cost.elements = event + steps_of([&] {
                    const auto compared = compare(goals, frames, observed, standing, false);
                    CHECK_FALSE(make_plan(compared.wanted, compared.observed).empty());
                    CHECK(nftables::elements_after(9, before.get(), *after) == 9);
                  });
  return cost;
}

}  // namespace

TEST_CASE("one changed Service among 40,000 costs at most three times one among 100") {
  const CostOfChange few = change_one_of(100);
  CHECK(few.chains > 100);
  for (const std::size_t count : {std::size_t{10'000}, std::size_t{40'000}}) {
    const CostOfChange many = change_one_of(count);
    CAPTURE(count);
    MESSAGE(count << " Services: steps x " << double(many.chains) / double(few.chains)
                  << " (chains), x " << double(many.elements) / double(few.elements)
                  << " (elements); " << few.chains << ", " << few.elements << " of 100");
    CHECK(many.chains <= 3 * few.chains);
    CHECK(many.elements <= 3 * few.elements);
  }
}
