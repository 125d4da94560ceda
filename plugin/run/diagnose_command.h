// `nmanager diagnose`: which of the three problems this node has, and what they affect.
#pragma once

#include "plugin/model/settings.h"
#include "plugin/run/world.h"

namespace nmanager::run {

/// Reads the state, watches for --for, and prints the verdicts; changes nothing. 0: none of the
/// problems was seen; 1: at least one was; 2: could not be determined.
[[nodiscard]] int diagnose_command(const Settings& own, const World& world);

}  // namespace nmanager::run
