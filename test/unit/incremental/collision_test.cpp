// Two IPv6 prefixes whose chains get the same name. Anyone who may create Services can cause this:
// the hash does not prevent it.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "hooks/chains/chain_table.h"
#include "hooks/chains/external_chains.h"
#include "hooks/chains/prefix_tree.h"

using namespace nmanager;
using namespace nmanager::chains;

namespace {

using Words = std::array<std::uint64_t, 2>;

Address address(const Words& words) {
  std::array<std::uint8_t, 16> bytes;
  std::memcpy(bytes.data(), words.data(), bytes.size());
  return {Family::kIpv6, bytes};
}

/// hash_bytes() of the first word of a whole address, as hash.cpp does it.
std::uint64_t hashed_first(std::uint64_t word) {
  constexpr std::uint64_t kIncrement = 0x9e3779b97f4a7c15U;
  std::uint64_t x = 32 + kIncrement * 17;  // half bytes and the length of the input
  x ^= x >> 30;
  x *= 0xbf58476d1ce4e5b9U;
  x ^= x >> 27;
  x *= 0x94d049bb133111ebU;
  x ^= x >> 31;
  x = (x ^ word) * 0xff51afd7ed558ccdU;
  return x ^ x >> 32;
}

ExternalAddress entry(const Address& external) {
  ExternalAddress result{external, *Address::parse("fd96::1"), "ns/" + to_string(external), {}, {}};
  for (std::uint16_t port = 1; port < 160; port += 2)
    result.ports.push_back({Protocol::kTcp, port});
  return result;
}

void check_equal(ExternalChains& chains, const std::vector<ExternalAddress>& all) {
  const ExternalCluster external = external_cluster(Family::kIpv6, all, {});
  chains.update(external);
  const DesiredTable whole = external_cluster_chains(external);
  const ChainDigests digests = digests_of(whole);
  CHECK(chains.digests().chains == digests.chains);
  CHECK(chains.digests().sum == digests.sum);
  CHECK(chains.rules() == rule_count(whole));
  std::vector<ChainName> names;
  for (const auto& chain : whole.chains) names.push_back(chain.first);
  CHECK(chains.chains(names) == whole);
  auto checked = chains.check(4);
  while (checked == ExternalChains::Check::kMore) checked = chains.check(4);
  CHECK(checked == ExternalChains::Check::kEnded);
}

}  // namespace

TEST_CASE("if hashed names of chains collide, the result is still that of the whole computation") {
  const Words one{0x0000b80d01200000U, 0x1111111111111111U};
  const std::uint64_t first = 0x0000b80d02200000U;
  const Words two{first, hashed_first(one[0]) ^ one[1] ^ hashed_first(first)};
  const Address a = address(one);
  const Address b = address(two);
  REQUIRE(a != b);
  REQUIRE(tree_name("NMANAGER_OUT_", a, 32).name == tree_name("NMANAGER_OUT_", b, 32).name);

  std::vector<ExternalAddress> all;
  for (int i = 0; i < 20; ++i) {
    all.push_back(entry(*Address::parse("2001:db8:" + std::to_string(i) + "::1")));
  }
  // Each with a neighbour, so that there is a chain for the whole address.
  const std::uint64_t last_bit = std::uint64_t{1} << 56;
  for (const Words& words : {one, two}) {
    all.push_back(entry(address(words)));
    all.push_back(entry(address({words[0], words[1] ^ last_bit})));
  }
  ExternalChains chains(Family::kIpv6);
  const auto without = [&](std::size_t left_out) {
    std::vector<ExternalAddress> some = all;
    some.erase(some.begin() + static_cast<std::ptrdiff_t>(left_out));
    return some;
  };
  check_equal(chains, without(22));  // one of the two
  check_equal(chains, all);          // they collide
  check_equal(chains, without(0));   // another change while they collide
  check_equal(chains, without(20));  // the first one is removed
  check_equal(chains, all);
  check_equal(chains, without(23));
}
