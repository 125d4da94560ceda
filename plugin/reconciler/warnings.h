// Warnings for the operator about the decisions. Pure.
//
// A warning means that something is wrong or in doubt: a healthy set-up as in the documents has
// none.
#pragma once

#include <vector>

#include "plugin/model/warning.h"
#include "plugin/reconciler/action.h"
#include "plugin/reconciler/state.h"

namespace nmanager::reconciler {

/// Most urgent first.
[[nodiscard]] std::vector<Warning> warnings_of(const State& state);

/// Of these, problems that disable the part of the external-cluster rules for pods; none while
/// these rules are not wanted.
[[nodiscard]] std::vector<Warning> pod_warnings(const State& state);

/// Logs each new warning once; not before the first query of kube-proxy.
void log_warnings(State& state, std::vector<Action>& actions);

}  // namespace nmanager::reconciler
