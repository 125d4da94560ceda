#include "hooks/nftables/comparison.h"

#include <algorithm>
#include <iterator>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

namespace nmanager::nftables {

namespace {

ExternalAddresses addresses_of(const TableSpec& spec) {
  const ExternalCluster* external = external_of(spec);
  return external != nullptr ? external->addresses : ExternalAddresses();
}

/// What all sets of `frame` hold; nullopt: not known, or not the same, or other sets of that part
/// are to be replaced.
std::optional<ExternalAddresses> standing_addresses(TableId part, const Ruleset& frame,
                                                    const Observed& observed,
                                                    const Standing& standing) {
  const bool others = std::ranges::any_of(observed.sets, [&](const auto& set) {
    const auto id = set_of(set.first);
    return id && part_of(*id) == part && !frame.sets.contains(*id);
  });
  if (others || observed.old_layout) return std::nullopt;
  std::set<std::shared_ptr<const TableSpec>> stands;  // null: a set that does not exist
  for (const auto& set : frame.sets) {
    const auto found = standing.find(set.first);
    const auto seen = observed.sets.find(name_of(set.first));
    const bool absent = !observed.exists || seen == observed.sets.end();
    if (!absent && (found == standing.end() || !seen->second.elements->empty())) {
      return std::nullopt;
    }
    stands.insert(absent ? nullptr : found->second);
  }
  if (stands.size() != 1) return std::nullopt;
  return *stands.begin() ? addresses_of(**stands.begin()) : ExternalAddresses();
}

SharedElements shared(Elements elements) {
  return std::make_shared<const Elements>(std::move(elements));
}

void add(ObservedSet& set, Elements more) {
  if (!set.elements->empty()) {
    more.insert(more.end(), set.elements->begin(), set.elements->end());
    std::ranges::sort(more);
  }
  set.elements = shared(std::move(more));
}

}  // namespace

Comparison compare(std::span<const Goal> goals, const Wanted& frames, const Observed& observed,
                   const Standing& standing, bool whole) {
  // A table that is made again shows nothing of what stands.
  whole = whole || !observed.exists || observed.old_layout;
  Comparison result{{}, observed};
  for (const Goal& goal : goals) {
    auto ruleset = std::make_shared<Ruleset>(*frames.at(goal.id));
    for (auto& [id, elements] : ruleset->sets) {
      const auto stands = standing.find(id);
      if (whole || stands == standing.end()) {
        elements = shared(elements_of(id, *goal.spec));
        continue;
      }
      const std::vector<Address> some =
          differences(addresses_of(*stands->second), addresses_of(*goal.spec));
      elements = shared(elements_of(id, *goal.spec, some));
      add(result.observed.sets[name_of(id)], elements_of(id, *stands->second, some));
    }
    result.wanted[goal.id] = std::move(ruleset);
  }
  if (!whole) return result;
  for (const auto& [id, spec] : standing) {
    add(result.observed.sets[name_of(id)], elements_of(id, *spec));
  }
  return result;
}

Parts first_parts(std::span<const Goal> goals, const Wanted& frames, const Observed& observed,
                  const Standing& standing, std::size_t most) {
  Parts parts;
  const auto sharing = std::ranges::count_if(
      goals, [](const Goal& goal) { return wants_addresses_only(*goal.spec); });
  most /= static_cast<std::size_t>(std::max(sharing, std::ptrdiff_t{1}));
  for (const Goal& goal : goals) {
    parts.goals.push_back(goal);
    const ExternalCluster* wanted = only_external_of(*goal.spec);
    if (wanted == nullptr) continue;
    auto addresses = standing_addresses(goal.id, *frames.at(goal.id), observed, standing);
    if (!addresses) continue;
    const std::size_t left = addresses->approach(wanted->addresses, most);
    if (left == 0) continue;
    ExternalCluster part{std::move(*addresses), wanted->settings};
    parts.goals.back().spec = std::make_shared<const TableSpec>(std::move(part));
    parts.left[goal.id] = left;
  }
  return parts;
}

bool same_frame(const TableSpec& a, const TableSpec& b) {
  const ExternalCluster* left = only_external_of(a);
  const ExternalCluster* right = only_external_of(b);
  return left != nullptr && right != nullptr && left->settings == right->settings;
}

std::size_t elements_after(std::size_t count, const TableSpec* before, const TableSpec& after) {
  const ExternalCluster* next = external_of(after);
  if (next == nullptr) return 0;
  const bool goes_on = before != nullptr && same_frame(*before, after);
  const ExternalAddresses from = goes_on ? addresses_of(*before) : ExternalAddresses();
  if (!goes_on) count = 0;
  if (from.empty()) {
    for (const auto& entry : next->addresses.map()) {
      count += count_elements(*entry.second, next->settings.match);
    }
    return count;
  }
  for (const Address& address : differences(from, next->addresses)) {
    count -= count_elements(from.at(address), next->settings.match);
    count += count_elements(next->addresses.at(address), next->settings.match);
  }
  return count;
}

}  // namespace nmanager::nftables
