// Why a Service has rules, or has none; the same code whichever command asks. Pure.
#pragma once

#include "plugin/model/explanation.h"
#include "plugin/reconciler/state.h"

namespace nmanager::reconciler {

/// Costs as much as a look at every Service: an address may be another Service's already.
[[nodiscard]] Explanation explain(const State& state, const ServiceQuestion& question);

}  // namespace nmanager::reconciler
