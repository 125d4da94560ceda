// What a finished look at a table means for its state, the counters and the log. Pure.
#pragma once

#include <vector>

#include "plugin/model/event.h"
#include "plugin/reconciler/action.h"
#include "plugin/reconciler/state.h"

namespace nmanager::reconciler {

void take_outcome(State& state, const TableSynced& synced, Now now, std::vector<Action>& actions);

}  // namespace nmanager::reconciler
