// kube-proxy's own word, held against what was seen in the kernel. Pure.
//
// kube-proxy tells when its last sync ended, but only when asked, up to seconds later. What was
// seen meanwhile is kept: moments in which something changed, and when all of ours was verified
// after each. A sync is verified when what it changed last was.
#pragma once

#include <string>
#include <vector>

#include "plugin/model/event.h"
#include "plugin/reconciler/action.h"
#include "plugin/reconciler/state.h"

namespace nmanager::reconciler {

/// What kube-proxy passes through while it syncs, starts or changes its mode is over by then; with
/// thousands of Services that takes seconds.
inline constexpr Millis kSyncTakes{10'000};

void take_proxy_sync(State& state, ProxySync sync);

/// Something may have changed in the family's tables; nothing: in any.
void note_change(State& state, std::optional<Family> family, WallTime now);

/// To be called when a table was verified.
void settle_changes(State& state, WallTime now);

/// Notes which of kube-proxy's partial states last. To be called at each step.
void note_lasting(State& state, TimePoint now);

/// A log line when its health is another one than was told last, and lasts.
void tell_health(State& state, TimePoint now, std::vector<Action>& actions);

/// It answers with its metrics, and they hold no sync of any family.
[[nodiscard]] bool never_synced(const State& state);

[[nodiscard]] ProxyHealth proxy_health(const State& state);

/// The same in words, for people; empty for kSynced and kNotAsked.
[[nodiscard]] std::string proxy_health_text(const State& state);

}  // namespace nmanager::reconciler
