// The three cures as they are on this node, in words. Pure.
#pragma once

#include <vector>

#include "plugin/model/cure.h"
#include "plugin/reconciler/state.h"

namespace nmanager::reconciler {

/// One for each problem, in order.
[[nodiscard]] std::vector<Cure> cures_of(const State& state);

}  // namespace nmanager::reconciler
