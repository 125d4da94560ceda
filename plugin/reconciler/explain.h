// Why a Service has rules, or has none; the same code for every command. Pure.
#pragma once

#include "plugin/model/explanation.h"
#include "plugin/reconciler/state.h"

namespace nmanager::reconciler {

/// Reads every Service, since another Service may already have an address.
[[nodiscard]] Explanation explain(const State& state, const ServiceQuestion& question);

}  // namespace nmanager::reconciler
