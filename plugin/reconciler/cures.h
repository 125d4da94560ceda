// The state of the three cures on this node, as text. Pure.
#pragma once

#include <vector>

#include "plugin/model/cure.h"
#include "plugin/reconciler/state.h"

namespace nmanager::reconciler {

/// One for each problem, in order.
[[nodiscard]] std::vector<Cure> cures_of(const State& state);

}  // namespace nmanager::reconciler
