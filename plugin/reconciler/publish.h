// The immutable snapshot that the status server shows, made from the state. Pure.
#pragma once

#include <string>
#include <string_view>

#include "plugin/model/snapshot.h"
#include "plugin/reconciler/state.h"

namespace nmanager::reconciler {

[[nodiscard]] Snapshot make_snapshot(const State& state, Now now);

}  // namespace nmanager::reconciler
