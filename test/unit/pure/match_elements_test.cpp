// The elements that stand, held against those that are wanted.
#include "hooks/nftables/match_elements.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <vector>

namespace nmanager::nftables {
namespace {

constexpr int kRounds = 2000;

class Dice {
 public:
  explicit Dice(unsigned seed) : engine_(seed) {}
  int below(int count) { return std::uniform_int_distribution<int>(0, count - 1)(engine_); }
  bool one_in(int count) { return below(count) == 0; }
  void shuffle(Elements& elements) { std::ranges::shuffle(elements, engine_); }

 private:
  std::mt19937 engine_;
};

/// Few addresses, ports and owners, so that two specs have much in common.
std::shared_ptr<const TableSpec> some_spec(Dice& dice, MatchBy by) {
  std::vector<ExternalAddress> all;
  for (int i = 0; i < 12; ++i) {
    if (dice.one_in(4)) continue;
    ExternalAddress one;
    one.external = *Address::parse("198.18.0." + std::to_string(i));
    one.cluster = *Address::parse("10.96.0." + std::to_string(dice.below(2)));
    one.owner = "default/a-service-with-a-long-name-" + std::to_string(dice.below(2));
    one.ports = {{Protocol::kTcp, 80}};
    if (dice.one_in(2)) one.ports.push_back({Protocol::kTcp, 443});
    if (dice.one_in(3)) one.allowed_sources = {*Prefix::parse("10.0.0.0/8")};
    if (dice.one_in(6)) one.allowed_sources.push_back(*Prefix::parse("0.0.0.0/0"));
    if (dice.one_in(6)) one.allowed_sources = {*Prefix::parse("fd00::/8")};  // nobody
    all.push_back(std::move(one));
  }
  ExternalClusterSettings settings;
  settings.match = by;
  return std::make_shared<const TableSpec>(
      TableSpec{{external_cluster(Family::kIpv4, std::move(all), settings)}});
}

std::map<Address, Elements> by_address(const Elements& elements) {
  std::map<Address, Elements> result;
  for (const Element& element : elements) result[element.external].push_back(element);
  return result;
}

}  // namespace

TEST_CASE("what matches the spec needs not to be kept, what differs is found") {
  int equal = 0;
  int different = 0;
  for (unsigned seed = 0; seed < kRounds; ++seed) {
    CAPTURE(seed);
    Dice dice(seed);
    const MatchBy by = dice.one_in(2) ? MatchBy::kPort : MatchBy::kAddress;
    const auto wanted = some_spec(dice, by);
    const auto other = dice.one_in(3) ? wanted : some_spec(dice, by);
    for (const SetKind kind : {SetKind::kExternal, SetKind::kRestricted, SetKind::kCluster}) {
      const SetId id{Family::kIpv4, kind, by};
      const Elements stand = elements_of(id, *other);
      Elements shuffled = stand;
      dice.shuffle(shuffled);
      MatchElements match(id, wanted);
      for (const Element& element : shuffled) match.see(element);

      const auto have = by_address(stand);
      const auto want = by_address(elements_of(id, *wanted));
      std::set<Address> expected;
      for (const auto& [address, elements] : want) {
        const auto found = have.find(address);
        if (found == have.end() || found->second != elements) expected.insert(address);
      }
      for (const auto& one : have) {
        if (!want.contains(one.first)) expected.insert(one.first);
      }
      REQUIRE(match.all_match() == expected.empty());
      for (const Address& address : expected) REQUIRE(match.may_differ(address));
      ++(expected.empty() ? equal : different);

      // What stands is what remains of the spec, and the others.
      Elements all = elements_of(id, *match.matching());
      std::ranges::copy_if(stand, std::back_inserter(all), [&](const Element& element) {
        return match.may_differ(element.external);
      });
      std::ranges::sort(all);
      REQUIRE(all == stand);
    }
  }
  CHECK(equal > kRounds);
  CHECK(different > kRounds);
}

TEST_CASE("a few addresses that differ are few among many") {
  constexpr int kMany = 10'000;
  constexpr int kDiffer = 10;
  std::vector<ExternalAddress> all;
  for (int i = 0; i < kMany; ++i) {
    ExternalAddress one;
    one.external =
        *Address::parse("198.18." + std::to_string(i / 250) + "." + std::to_string(i % 250));
    one.cluster = *Address::parse("10.96.0.1");
    one.ports = {{Protocol::kTcp, 80}, {Protocol::kTcp, 443}};
    all.push_back(std::move(one));
  }
  const auto wanted = std::make_shared<const TableSpec>(
      TableSpec{{external_cluster(Family::kIpv4, std::move(all), {})}});
  const SetId id{Family::kIpv4, SetKind::kCluster, external_of(*wanted)->settings.match};
  Elements stand = elements_of(id, *wanted);
  for (std::size_t i = 0; i < kDiffer; ++i) stand[i * stand.size() / kDiffer].owner += "?";
  MatchElements match(id, wanted);
  for (const Element& element : stand) match.see(element);
  const auto kept = external_of(*match.matching())->addresses.size();
  CHECK(kept <= kMany - kDiffer);
  CHECK(kept >= kMany - 8 * kDiffer);
}

TEST_CASE("a set of another kind than the spec has: all that stands differs") {
  Dice dice(1);
  const auto wanted = some_spec(dice, MatchBy::kPort);
  const SetId id{Family::kIpv4, SetKind::kExternal, MatchBy::kAddress};
  MatchElements match(id, wanted);
  Element element;
  element.external = *Address::parse("198.18.0.1");
  match.see(element);
  CHECK(match.may_differ(element.external));
  CHECK_FALSE(match.all_match());
}

}  // namespace nmanager::nftables
