// One chain's edit script: the most rules kept, since a kept rule keeps its counters.
#pragma once

#include <span>
#include <vector>

#include "hooks/plan/observed.h"
#include "hooks/plan/plan.h"

namespace nmanager {

/// Empty when the chain is as desired. Else steps as ChainEdit documents them. Rules are paired by
/// value, equal ones front to back; of the pairs the longest sequence that is in order is kept, so
/// the script is as short as it can be while desired rules are distinct. O(n log n).
[[nodiscard]] std::vector<EditStep> diff_chain(std::span<const Rule> desired,
                                               const ObservedChain& observed);

}  // namespace nmanager
