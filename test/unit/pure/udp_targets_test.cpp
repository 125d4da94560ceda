// Which UDP flows have to begin anew when a nat table changes.
#include "hooks/conntrack/udp_targets.h"

#include <doctest/doctest.h>

#include "hooks/rules/table_spec.h"

namespace nmanager::test {
namespace {

TableSpec table_of(const char* external, const char* cluster, Protocol protocol,
                   std::vector<std::uint16_t> ports, MatchBy match = MatchBy::kPort) {
  ExternalClusterSettings settings;
  settings.match = match;
  return external_cluster(
      Family::kIpv4,
      {{*Address::parse(external), *Address::parse(cluster), "ns/a", {{protocol, ports}}, {}}},
      settings);
}

UdpTarget target(const char* external, std::uint16_t first, std::uint16_t last) {
  return {*Address::parse(external), {first, last}};
}

}  // namespace

TEST_CASE("UDP alone counts, by port or by address") {
  CHECK(udp_targets(table_of("192.0.2.1", "10.0.0.1", Protocol::kTcp, {53})).empty());
  const auto udp = udp_targets(table_of("192.0.2.1", "10.0.0.1", Protocol::kUdp, {53, 99}));
  REQUIRE(udp.size() == 2);
  CHECK(udp.at(target("192.0.2.1", 53, 53)) == *Address::parse("10.0.0.1"));
  const auto any =
      udp_targets(table_of("192.0.2.1", "10.0.0.1", Protocol::kTcp, {80}, MatchBy::kAddress));
  CHECK(any.contains(target("192.0.2.1", 0, 65535)));
}

TEST_CASE("what is new, gone or sent elsewhere has changed, the rest has not") {
  const auto a = udp_targets(table_of("192.0.2.1", "10.0.0.1", Protocol::kUdp, {53}));
  const auto elsewhere = udp_targets(table_of("192.0.2.1", "10.0.0.2", Protocol::kUdp, {53}));
  const auto more = udp_targets(table_of("192.0.2.1", "10.0.0.1", Protocol::kUdp, {53, 99}));
  const std::set<UdpTarget> port_53{target("192.0.2.1", 53, 53)};
  CHECK(changed_targets(a, a).empty());
  CHECK(changed_targets({}, a) == port_53);
  CHECK(changed_targets(a, {}) == port_53);
  CHECK(changed_targets(a, elsewhere) == port_53);
  CHECK(changed_targets(a, more) == std::set<UdpTarget>{target("192.0.2.1", 99, 99)});
}

}  // namespace nmanager::test
