// The kept chains of an ExternalCluster under other settings.
#include "hooks/chains/external_chains.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "hooks/chains/chain_table.h"

namespace nmanager::chains {
namespace {

constexpr std::size_t kCount = 100;

ExternalCluster cluster(const char* pods, const char* to, std::size_t count = kCount) {
  std::vector<ExternalAddress> all;
  for (std::size_t i = 0; i < count; ++i) {
    all.push_back({*Address::parse("198.18.0." + std::to_string(i)),
                   *Address::parse(to),
                   "ns/s" + std::to_string(i),
                   {{Protocol::kTcp, 80}},
                   {}});
  }
  ExternalClusterSettings settings;
  settings.pod_cidr = Prefix::parse(pods);
  return external_cluster(Family::kIpv4, std::move(all), settings);
}

}  // namespace

TEST_CASE("other settings are prepared in parts, and taken over as a whole") {
  const ExternalCluster before = cluster("10.244.0.0/16", "10.96.0.1");
  const ExternalCluster after = cluster("10.0.0.0/8", "10.96.0.2");
  ExternalChains chains(Family::kIpv4);
  for (std::size_t done = 10; done <= kCount; done += 10) {
    CHECK(chains.approach(before, 10) == kCount - done + 1);
    CHECK(chains.of() == nullptr);
    CHECK(chains.digests().chains.empty());
  }
  CHECK(chains.approach(before, 10) == 0);
  CHECK(chains.whole() == external_cluster_chains(before));
  CHECK_FALSE(chains.digests().changed.has_value());
  SUBCASE("all of it") {
    for (std::size_t done = 10; done <= kCount; done += 10) {
      CHECK(chains.approach(after, 10) == kCount - done + 1);
      CHECK(chains.whole() == external_cluster_chains(before));
      CHECK(chains.digests().chains == digests_of(external_cluster_chains(before)).chains);
    }
    CHECK(chains.approach(after, 10) == 0);
  }
  SUBCASE("while addresses change") {
    const ExternalCluster fewer = cluster("10.0.0.0/8", "10.96.0.2", 50);
    while (chains.approach(fewer, 30) > 1) CHECK(*chains.of() == before);
    CHECK(chains.approach(after, 30) > 0);
    while (chains.approach(after, 30) > 0) CHECK(*chains.of() == before);
  }
  SUBCASE("and suddenly are few") {
    const ExternalCluster few = cluster("10.0.0.0/8", "10.96.0.2", 5);
    CHECK(chains.approach(after, 30) > 0);
    CHECK(chains.approach(after, 30) > 0);
    while (chains.approach(few, 30) > 0) CHECK(*chains.of() == before);
    CHECK(*chains.of() == few);
    while (chains.approach(before, 30) > 0) CHECK(*chains.of() == few);
    while (chains.approach(after, 30) > 0) CHECK(*chains.of() == before);
  }
  SUBCASE("and others again") {
    const ExternalCluster other = cluster("10.16.0.0/12", "10.96.0.3");
    CHECK(chains.approach(other, 60) > 0);
    while (chains.approach(after, 60) > 0) CHECK(*chains.of() == before);
  }
  SUBCASE("a return to the former ones") {
    CHECK(chains.approach(after, 60) > 0);
    CHECK(chains.approach(before, 60) == 0);
    CHECK(chains.whole() == external_cluster_chains(before));
    while (chains.approach(after, 60) > 0) CHECK(*chains.of() == before);
  }
  CHECK(*chains.of() == after);
  CHECK(chains.whole() == external_cluster_chains(after));
  CHECK(chains.digests().chains == digests_of(external_cluster_chains(after)).chains);
  CHECK_FALSE(chains.digests().changed.has_value());
  CHECK(chains.digests().before == digests_of(external_cluster_chains(before)).sum);
  CHECK(chains.rules() == rule_count(external_cluster_chains(after)));
  CHECK(chains.check(kCount + 1) == ExternalChains::Check::kEnded);
}

TEST_CASE("other addresses are taken over in parts") {
  const ExternalCluster before = cluster("10.244.0.0/16", "10.96.0.1", 60);
  const ExternalCluster after = cluster("10.244.0.0/16", "10.96.0.2");
  ExternalChains chains(Family::kIpv4);
  chains.update(before);
  for (std::size_t left = kCount - 30; left > 0; left -= left > 30 ? 30 : left) {
    CHECK(chains.approach(after, 30) == left);
    CHECK(chains.whole() == external_cluster_chains(*chains.of()));
    CHECK(chains.digests().chains == digests_of(external_cluster_chains(*chains.of())).chains);
  }
  CHECK(chains.approach(after, 30) == 0);
  CHECK(*chains.of() == after);
  CHECK(chains.whole() == external_cluster_chains(after));
  CHECK(chains.approach(before, kCount) == 0);
  CHECK(*chains.of() == before);
}

}  // namespace nmanager::chains
