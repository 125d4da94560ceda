// What an operator should know about the choices made. Pure.
//
// A warning means that something is wrong or in doubt: none exists in a healthy set-up that the
// documents describe.
#pragma once

#include <vector>

#include "plugin/model/warning.h"
#include "plugin/reconciler/state.h"

namespace nmanager::reconciler {

/// Most urgent first.
[[nodiscard]] std::vector<Warning> warnings_of(const State& state);

/// Of these, what keeps the pods' half of the external-cluster rules from its work; none while
/// these rules are not wanted.
[[nodiscard]] std::vector<Warning> pod_warnings(const State& state);

}  // namespace nmanager::reconciler
