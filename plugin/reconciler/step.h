// The state machine of the owner thread: a pure function of state, event and time. It never uses
// the kernel, the network or a clock; it returns actions.
#pragma once

#include <vector>

#include "plugin/model/event.h"
#include "plugin/reconciler/action.h"
#include "plugin/reconciler/state.h"

namespace nmanager::reconciler {

/// So long after the last look at a nat table, memory is given back to the system.
inline constexpr Millis kTrimAfter{10'000};
/// The safety net behind the change watch: every table is read again at least so often.
inline constexpr Millis kFullLookInterval{300'000};
/// The filter tables are small; their DROP counters are read this often.
inline constexpr Millis kFilterLookInterval{15'000};

/// The check of what is kept change by change: so many Services at once, and a pause.
inline constexpr std::size_t kCheckedServices = 1'024;
inline constexpr Millis kCheckPause{50};
/// So long it waits for a turn with nothing else to do.
inline constexpr Millis kCheckPatience{10'000};

[[nodiscard]] State initial_state(Settings settings, Now now);

/// Applies the events in order, then returns the actions in order: a burst of Service changes
/// makes one commit. The results return as events. Without `may_sync`, due tables stay due.
[[nodiscard]] std::vector<Action> step(State& state, std::vector<Event> events, Now now,
                                       bool may_sync = true);

/// step() has to be called with a Tick no later than this.
[[nodiscard]] TimePoint wake_at(const State& state, TimePoint now);

}  // namespace nmanager::reconciler
