#include "hooks/nftables/comparison.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace nmanager::nftables {

namespace {

ExternalAddresses addresses_of(const TableSpec& spec) {
  const ExternalCluster* external = external_of(spec);
  return external != nullptr ? external->addresses : ExternalAddresses();
}

SharedElements shared(Elements elements) {
  return std::make_shared<const Elements>(std::move(elements));
}

}  // namespace

Comparison compare(std::span<const Goal> goals, const Wanted& frames, const Observed& observed,
                   const Standing& standing, Extent extent) {
  // A table that is made again shows nothing of what stands.
  const bool whole = extent == Extent::kWhole || !observed.exists || observed.old_layout;
  Comparison result{frames, observed, whole || standing.empty()};
  for (const Goal& goal : goals) {
    auto ruleset = std::make_shared<Ruleset>(*frames.at(goal.id));
    for (auto& [id, elements] : ruleset->sets) {
      const auto stands = standing.find(id);
      if (whole || stands == standing.end()) {
        elements = shared(elements_of(id, *goal.spec));
        continue;
      }
      const std::vector<Address> changed =
          differences(addresses_of(*stands->second), addresses_of(*goal.spec));
      elements = shared(elements_of(id, *goal.spec, changed));
      result.observed.sets[name_of(id)].elements =
          shared(elements_of(id, *stands->second, changed));
    }
    result.wanted[goal.id] = std::move(ruleset);
  }
  if (!whole) return result;
  for (const auto& [id, spec] : standing) {
    result.observed.sets[name_of(id)].elements = shared(elements_of(id, *spec));
  }
  return result;
}

bool same_frame(const TableSpec& a, const TableSpec& b) {
  const ExternalCluster* left = only_external_of(a);
  const ExternalCluster* right = only_external_of(b);
  return left != nullptr && right != nullptr && left->settings == right->settings;
}

bool only_elements(const Plan& plan) {
  return plan.evictions.empty() && std::ranges::all_of(plan.steps, [](const Step& step) {
           return std::holds_alternative<ElementsObject>(step.object);
         });
}

std::size_t elements_after(std::size_t count, const TableSpec* before, const TableSpec& after) {
  const ExternalCluster* next = external_of(after);
  if (next == nullptr) return 0;
  const bool goes_on = before != nullptr && same_frame(*before, after);
  const ExternalAddresses from = goes_on ? addresses_of(*before) : ExternalAddresses();
  if (!goes_on) count = 0;
  for (const Address& address : differences(from, next->addresses)) {
    count -= count_elements(from.at(address), next->settings.match);
    count += count_elements(next->addresses.at(address), next->settings.match);
  }
  return count;
}

}  // namespace nmanager::nftables
