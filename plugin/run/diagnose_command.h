// `nmanager diagnose`: which of the three problems this node has, and whom they hit.
#pragma once

#include "plugin/model/settings.h"
#include "plugin/run/world.h"

namespace nmanager::run {

/// Looks, watches for --for, and prints the verdicts; writes nothing anywhere. 0: none of the
/// problems was seen; 1: at least one was; 2: could not tell.
[[nodiscard]] int diagnose_command(const Settings& own, const World& world);

}  // namespace nmanager::run
