// Compares kube-proxy's own report with changes seen in the kernel. Pure.
//
// kube-proxy reports when its last sync ended, but only when queried, up to seconds later. Until
// then the observations are kept: the times of changes, and when all our rules were verified after
// each. A sync is verified when its last change is.
#pragma once

#include <string>
#include <vector>

#include "plugin/model/event.h"
#include "plugin/reconciler/action.h"
#include "plugin/reconciler/state.h"

namespace nmanager::reconciler {

/// Transient states of kube-proxy during a sync, a start or a change of mode are over after this
/// time; with thousands of Services they take seconds.
inline constexpr Millis kSyncTakes{10'000};

void take_proxy_sync(State& state, ProxySync sync);

/// Something may have changed in the family's tables; nullopt: in any.
void note_change(State& state, std::optional<Family> family, WallTime now);

/// Call this when a table was verified.
void settle_changes(State& state, WallTime now);

/// Records which of kube-proxy's partial states last. Call this in each step.
void note_lasting(State& state, TimePoint now);

/// A log line if its health differs from the last reported one for long enough.
void tell_health(State& state, TimePoint now, std::vector<Action>& actions);

/// It answers with its metrics, and they contain no sync of any family.
[[nodiscard]] bool never_synced(const State& state);

[[nodiscard]] ProxyHealth proxy_health(const State& state);

/// The same as text; empty for kSynced and kNotAsked.
[[nodiscard]] std::string proxy_health_text(const State& state);

}  // namespace nmanager::reconciler
