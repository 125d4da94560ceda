// The edit script of one chain. It keeps as many rules as possible, since a kept rule keeps its
// counters.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <unordered_map>
#include <variant>
#include <vector>

namespace nmanager {

/// A rule's identity for the backend that observed it: its index in the chain (legacy), its handle
/// (nft). Opaque to the plan; valid only within the transaction that observed it.
using RuleRef = std::uint64_t;

/// The steps of an edit script, front to back. They name every observed rule exactly once, in
/// order, as Keep or Remove, with Inserts between them.
struct Keep {
  RuleRef ref = 0;
};
struct Remove {
  RuleRef ref = 0;
};
template <class R>
struct InsertOf {
  R rule;
};
template <class R>
using EditStepOf = std::variant<Keep, Remove, InsertOf<R>>;

inline constexpr std::size_t kNoPartner = static_cast<std::size_t>(-1);

/// Clears (to kNoPartner) the pairs that are not in the longest increasing subsequence.
void keep_longest_in_order(std::vector<std::size_t>& pairs);

/// For each desired rule the index of an equal observed rule, or kNoPartner; each observed rule
/// once.
template <class R, class Seen>
std::vector<std::size_t> pair_equal(std::span<const R> desired, std::span<const Seen> observed) {
  std::unordered_map<std::uint64_t, std::deque<std::size_t>> places;
  for (std::size_t i = 0; i < observed.size(); ++i) {
    if (observed[i].rule) places[hash_of(*observed[i].rule)].push_back(i);
  }
  std::vector<std::size_t> pairs;
  pairs.reserve(desired.size());
  for (const R& rule : desired) {
    std::size_t partner = kNoPartner;
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

/// Empty if the chain is as desired; otherwise steps as documented at ChainEdit. Rules are paired
/// by value, equal rules front to back, and the longest sequence of pairs that is in order is kept.
/// The script is therefore minimal if the desired rules are distinct. O(n log n). `Seen` has an
/// optional `rule` and a `ref`, as ObservedRule.
template <class R, class Seen>
[[nodiscard]] std::vector<EditStepOf<R>> diff_chain(std::span<const R> desired,
                                                    std::span<const Seen> observed) {
  const bool equal = std::ranges::equal(desired, observed, [](const R& rule, const Seen& seen) {
    return seen.rule && *seen.rule == rule;
  });
  if (equal) return {};
  std::vector<EditStepOf<R>> steps;
  if (observed.empty()) {
    steps.reserve(desired.size());
    for (const R& rule : desired) steps.emplace_back(InsertOf<R>{rule});
    return steps;
  }
  std::vector<std::size_t> pairs = pair_equal(desired, observed);
  keep_longest_in_order(pairs);
  std::size_t next = 0;
  const auto remove_until = [&](std::size_t end) {
    for (; next < end; ++next) steps.emplace_back(Remove{observed[next].ref});
  };
  for (std::size_t i = 0; i < desired.size(); ++i) {
    if (pairs[i] == kNoPartner) {
      steps.emplace_back(InsertOf<R>{desired[i]});
      continue;
    }
    remove_until(pairs[i]);
    steps.emplace_back(Keep{observed[next++].ref});
  }
  remove_until(observed.size());
  return steps;
}

/// For each step the next kept rule, before which an Insert is placed; nullopt: the end of the
/// chain.
template <class R>
[[nodiscard]] std::vector<std::optional<RuleRef>> places_of(
    const std::vector<EditStepOf<R>>& steps) {
  std::vector<std::optional<RuleRef>> places(steps.size());
  std::optional<RuleRef> kept;
  for (std::size_t i = steps.size(); i-- > 0;) {
    places[i] = kept;
    if (const auto* keep = std::get_if<Keep>(&steps[i])) kept = keep->ref;
  }
  return places;
}

}  // namespace nmanager
