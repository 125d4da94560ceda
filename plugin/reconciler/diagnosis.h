// What keeps the pods' half of the external-cluster rules from its work, in words. Pure.
#pragma once

#include <string>
#include <vector>

#include "plugin/reconciler/state.h"

namespace nmanager::reconciler {

/// One line each; none while the external-cluster rules are not wanted.
[[nodiscard]] std::vector<std::string> pod_warnings(const State& state);

}  // namespace nmanager::reconciler
