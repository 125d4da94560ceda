// Evaluates a check of kube-proxy's chains: did it sync, and was our part verified after it. Pure.
#pragma once

#include <vector>

#include "plugin/model/event.h"
#include "plugin/reconciler/action.h"
#include "plugin/reconciler/state.h"

namespace nmanager::reconciler {

/// Bounds the cost of content checksums: the next one is read only after this many times the
/// duration of the last two, whichever was shorter. One that was preempted for a while is no reason
/// to overlook kube-proxy's chains for seconds.
inline constexpr int kChecksumRest = 100;

void take_kube(State& state, const KubeLooked& looked, Now now, std::vector<Action>& actions);

/// Call this when a table was verified: completes the resyncs that were seen before it.
void settle_resyncs(State& state, Now now);

}  // namespace nmanager::reconciler
