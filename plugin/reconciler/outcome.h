// Applies the result of a sync of a table to its state, the counters and the log. Pure.
#pragma once

#include <vector>

#include "plugin/model/event.h"
#include "plugin/reconciler/action.h"
#include "plugin/reconciler/state.h"

namespace nmanager::reconciler {

/// An iptables table is not repaired for this time after a flush of the whole table: `-X` of all
/// chains usually follows, and fails on chains that are in use again.
inline constexpr Millis kFlushWindow{1'000};

void take_outcome(State& state, const TableSynced& synced, Now now, std::vector<Action>& actions);

}  // namespace nmanager::reconciler
