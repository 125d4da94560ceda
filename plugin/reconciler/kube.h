// What a look at kube-proxy's chains means: did it sync, and was our part verified after it. Pure.
#pragma once

#include <vector>

#include "plugin/model/event.h"
#include "plugin/reconciler/action.h"
#include "plugin/reconciler/state.h"

namespace nmanager::reconciler {

/// A content checksum may cost at most this part of a core: it is not read again before so many
/// times its own last duration.
inline constexpr int kChecksumRest = 100;

void take_kube(State& state, const KubeLooked& looked, Now now, std::vector<Action>& actions);

/// To be called when a table was verified: settles the resyncs that were seen before it.
void settle_resyncs(State& state, Now now);

}  // namespace nmanager::reconciler
