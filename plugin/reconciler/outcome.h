// What a finished look at a table means for its state, the counters and the log. Pure.
#pragma once

#include <vector>

#include "plugin/model/event.h"
#include "plugin/reconciler/action.h"
#include "plugin/reconciler/state.h"

namespace nmanager::reconciler {

/// A table of iptables that somebody flushes whole is left alone for so long: what follows a flush
/// is usually `-X` of all chains, which fails on those that are in use again.
inline constexpr Millis kFlushWindow{1'000};

void take_outcome(State& state, const TableSynced& synced, Now now, std::vector<Action>& actions);

}  // namespace nmanager::reconciler
