// The UDP flows that become stale when a nat table changes.
#include "hooks/conntrack/stale_flows.h"

#include <cstdint>

#include "hooks/chains/udp_change.h"
#include "hooks/chains/wish.h"

#include <doctest/doctest.h>

#include "hooks/chains/chain_table.h"
#include "test/fake_kernel/fake_kernel.h"

namespace nmanager::test {
using namespace nmanager::chains;
using namespace nmanager::conntrack;
namespace {

constexpr TableId kNat{Family::kIpv4, Table::kNat};

Address at(const char* text) {
  return *Address::parse(text);
}

ExternalAddress service(const char* external, const char* cluster, Protocol protocol,
                        const std::vector<std::uint16_t>& ports) {
  ExternalAddress result{at(external), at(cluster), "ns/" + std::string(external), {}, {}};
  for (const std::uint16_t port : ports) result.ports.push_back({protocol, port});
  return result;
}

DesiredTable table_of(std::vector<ExternalAddress> services, MatchBy match = MatchBy::kPort) {
  ExternalClusterSettings settings;
  settings.match = match;
  settings.pod_cidr = Prefix::parse("10.244.0.0/16");
  return external_cluster_chains(external_cluster(Family::kIpv4, std::move(services), settings));
}

/// Syncs to `desired` and returns the reported change.
UdpChange sync_to(FakeKernel& kernel, const DesiredTable& desired) {
  auto begun = kernel.begin(kNat);
  REQUIRE(begun.ok());
  const ObservedTable& observed = (*begun)->observed();
  const TablePlan plan = make_plan(kNat, desired, observed);
  UdpChange change =
      udp_change(desired, observed, plan, false, [&] { return WholeWish(desired).udp(); });
  if (!plan.empty()) REQUIRE((*begun)->commit(plan).ok());
  return change;
}

UdpRule from_pods(const char* external, PortRange ports, const char* to) {
  return {at(external), ports, Prefix::parse("10.244.0.0/16"), false, at(to)};
}
UdpRule from_node(const char* external, PortRange ports, const char* to) {
  return {at(external), ports, std::nullopt, true, at(to)};
}

UdpChange change_of(const UdpRules& before, const UdpRules& after) {
  return {{before}, {after}};
}

const DesiredTable kDns = table_of({service("192.0.2.1", "10.96.0.1", Protocol::kUdp, {53})});
const UdpRules kDnsRules{from_pods("192.0.2.1", {53, 53}, "10.96.0.1"),
                         from_node("192.0.2.1", {53, 53}, "10.96.0.1")};

}  // namespace

TEST_CASE("a change of the table for UDP") {
  FakeKernel kernel(Semantics::kNft);
  UdpChange change = sync_to(kernel, kDns);
  CHECK(change.before.empty());
  CHECK(change.after.rules == kDnsRules);
  CHECK(sync_to(kernel, kDns).empty());

  // TCP and unchanged rules are not included.
  const auto dns = service("192.0.2.1", "10.96.0.1", Protocol::kUdp, {53});
  CHECK(sync_to(kernel, table_of({dns, service("192.0.2.2", "10.96.0.2", Protocol::kTcp, {80})}))
            .empty());
  change = sync_to(kernel, table_of({dns, service("192.0.2.3", "10.96.0.3", Protocol::kUdp, {5})}));
  CHECK(change.before.empty());
  CHECK(change.after.rules == UdpRules{from_pods("192.0.2.3", {5, 5}, "10.96.0.3"),
                                       from_node("192.0.2.3", {5, 5}, "10.96.0.3")});

  // Removed, and sent to another address.
  change = sync_to(kernel, table_of({service("192.0.2.1", "10.96.0.9", Protocol::kUdp, {53})}));
  CHECK(change.before.rules.size() == 4);
  CHECK(change.after.rules == UdpRules{from_pods("192.0.2.1", {53, 53}, "10.96.0.9"),
                                       from_node("192.0.2.1", {53, 53}, "10.96.0.9")});
  change = sync_to(kernel, {});
  CHECK(change.before.rules.size() == 2);
  CHECK(change.after.empty());
}

TEST_CASE("by address, every protocol and port is included") {
  FakeKernel kernel(Semantics::kLegacy);
  const UdpChange change = sync_to(
      kernel,
      table_of({service("192.0.2.1", "10.96.0.1", Protocol::kTcp, {80})}, MatchBy::kAddress));
  CHECK(change.after.rules == UdpRules{from_pods("192.0.2.1", {0, 65535}, "10.96.0.1"),
                                       from_node("192.0.2.1", {0, 65535}, "10.96.0.1")});
}

TEST_CASE("repaired: missing rules, and rules without a jump to them") {
  FakeKernel kernel(Semantics::kNft);
  (void)sync_to(kernel, kDns);
  kernel.flush(kNat, "NMANAGER_EX_CLUS_OUTPUT");
  UdpChange change = sync_to(kernel, kDns);
  CHECK(change.before.empty());
  CHECK(change.after.rules == UdpRules{from_node("192.0.2.1", {53, 53}, "10.96.0.1")});

  kernel.flush(kNat, "NMANAGER_PREROUTING");
  CHECK(sync_to(kernel, kDns).after.rules == kDnsRules);
  kernel.flush(kNat, "PREROUTING");
  CHECK(sync_to(kernel, kDns).after.rules == kDnsRules);
  kernel.flush(kNat, "NMANAGER_MARK_MASQ");  // no translation depends on it
  CHECK(sync_to(kernel, kDns).before.empty());
}

TEST_CASE("which flows are stale") {
  const UdpRules moved{from_pods("192.0.2.1", {53, 53}, "10.96.0.9"),
                       from_node("192.0.2.1", {53, 53}, "10.96.0.9")};
  const auto flow = [](const char* source, bool local, const char* to, std::uint16_t port,
                       bool translated, const char* answers) {
    return UdpFlow{at(source), local, at(to), port, translated, at(answers)};
  };
  const UdpFlow pod = flow("10.244.1.2", false, "192.0.2.1", 53, false, "192.0.2.1");
  const UdpFlow pod_by_rule = flow("10.244.1.2", false, "192.0.2.1", 53, true, "10.96.0.1");
  const UdpFlow node = flow("172.18.0.2", true, "192.0.2.1", 53, false, "192.0.2.1");
  const UdpFlow ipvs = flow("10.244.1.2", false, "192.0.2.1", 53, false, "10.244.2.2");
  const UdpFlow ipvs_by_rule = flow("10.244.1.2", false, "192.0.2.1", 53, true, "10.244.2.2");
  for (const UdpFlow& one : {pod, node, ipvs}) {
    CHECK(is_stale(change_of({}, kDnsRules), one));
    CHECK(is_stale(change_of(kDnsRules, kDnsRules), one));
    CHECK(is_stale(change_of(kDnsRules, moved), one));
    CHECK_FALSE(is_stale(change_of(kDnsRules, {}), one));
    CHECK_FALSE(is_stale({}, one));
  }
  for (const UdpFlow& one : {pod_by_rule, ipvs_by_rule}) {
    CHECK_FALSE(is_stale(change_of({}, kDnsRules), one));
    CHECK_FALSE(is_stale(change_of(kDnsRules, kDnsRules), one));
    CHECK(is_stale(change_of(kDnsRules, moved), one));
    CHECK(is_stale(change_of(kDnsRules, {}), one));
  }
  CHECK_FALSE(is_stale(change_of(kDnsRules, moved),
                       flow("10.244.1.2", false, "192.0.2.1", 53, true, "10.96.0.9")));
  // From outside, to another port, another address; a local one if only pods have a rule.
  for (const UdpChange& change :
       {change_of({}, kDnsRules), change_of(kDnsRules, {}), change_of(kDnsRules, moved)}) {
    for (const bool translated : {false, true}) {
      CHECK_FALSE(
          is_stale(change, flow("203.0.113.9", false, "192.0.2.1", 53, translated, "10.96.0.1")));
      CHECK_FALSE(
          is_stale(change, flow("10.244.1.2", false, "192.0.2.1", 54, translated, "10.96.0.1")));
      CHECK_FALSE(
          is_stale(change, flow("10.244.1.2", false, "192.0.2.2", 53, translated, "10.96.0.1")));
    }
  }
  const UdpRules pods_only{from_pods("192.0.2.1", {53, 53}, "10.96.0.1")};
  CHECK_FALSE(is_stale(change_of({}, pods_only), node));
  CHECK(is_stale(change_of({}, pods_only), pod));
  // A larger pod CIDR is another rule with the same effect.
  UdpRule wide = from_pods("192.0.2.1", {53, 53}, "10.96.0.1");
  wide.source = Prefix::parse("10.0.0.0/8");
  CHECK_FALSE(is_stale(change_of(pods_only, {wide}), pod_by_rule));
  CHECK(is_stale(change_of(pods_only, {wide}),
                 flow("10.1.1.1", false, "192.0.2.1", 53, false, "192.0.2.1")));
}

}  // namespace nmanager::test
