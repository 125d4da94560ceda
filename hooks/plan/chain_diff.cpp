#include "hooks/plan/chain_diff.h"

#include <algorithm>
#include <deque>
#include <unordered_map>

namespace nmanager {

namespace {

constexpr std::size_t kNone = static_cast<std::size_t>(-1);

/// For each desired rule the index of an equal observed rule, or kNone; each observed rule once.
std::vector<std::size_t> pair_equal(std::span<const Rule> desired, const ObservedChain& observed) {
  std::unordered_map<std::uint64_t, std::deque<std::size_t>> places;
  for (std::size_t i = 0; i < observed.size(); ++i) {
    if (observed[i].rule) places[hash_of(*observed[i].rule)].push_back(i);
  }
  std::vector<std::size_t> pairs;
  pairs.reserve(desired.size());
  for (const Rule& rule : desired) {
    std::size_t partner = kNone;
    if (const auto found = places.find(hash_of(rule)); found != places.end()) {
      auto& indexes = found->second;
      const auto equal =
          std::ranges::find_if(indexes, [&](std::size_t i) { return *observed[i].rule == rule; });
      if (equal != indexes.end()) {
        partner = *equal;
        indexes.erase(equal);
      }
    }
    pairs.push_back(partner);
  }
  return pairs;
}

/// Clears the pairs that are not in the longest increasing subsequence (patience sorting).
void keep_longest_in_order(std::vector<std::size_t>& pairs) {
  std::vector<std::size_t> tops;  // positions in `pairs`, one for each pile
  std::vector<std::size_t> before(pairs.size(), kNone);
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    if (pairs[i] == kNone) continue;
    const auto pile = std::ranges::lower_bound(
        tops, pairs[i], {}, [&](std::size_t position) { return pairs[position]; });
    if (pile != tops.begin()) before[i] = *std::prev(pile);
    if (pile == tops.end()) {
      tops.push_back(i);
    } else {
      *pile = i;
    }
  }
  std::vector<bool> kept(pairs.size(), false);
  for (std::size_t i = tops.empty() ? kNone : tops.back(); i != kNone; i = before[i]) {
    kept[i] = true;
  }
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    if (!kept[i]) pairs[i] = kNone;
  }
}

bool equal_chains(std::span<const Rule> desired, const ObservedChain& observed) {
  return std::ranges::equal(desired, observed, [](const Rule& rule, const ObservedRule& seen) {
    return seen.rule && *seen.rule == rule;
  });
}

}  // namespace

std::vector<EditStep> diff_chain(std::span<const Rule> desired, const ObservedChain& observed) {
  if (equal_chains(desired, observed)) return {};
  std::vector<std::size_t> pairs = pair_equal(desired, observed);
  keep_longest_in_order(pairs);
  std::vector<EditStep> steps;
  std::size_t next = 0;
  const auto remove_until = [&](std::size_t end) {
    for (; next < end; ++next) steps.emplace_back(Remove{observed[next].ref});
  };
  for (std::size_t i = 0; i < desired.size(); ++i) {
    if (pairs[i] == kNone) {
      steps.emplace_back(Insert{desired[i]});
      continue;
    }
    remove_until(pairs[i]);
    steps.emplace_back(Keep{observed[next++].ref});
  }
  remove_until(observed.size());
  return steps;
}

}  // namespace nmanager
