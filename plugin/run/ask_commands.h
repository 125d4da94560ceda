// The commands that ask the running process over its loopback endpoint.
#pragma once

#include <string_view>

#include "plugin/model/settings.h"
#include "plugin/run/world.h"

namespace nmanager::run {

/// Prints the running process' status; 0: ready, 1: not ready, 3: no process answers.
[[nodiscard]] int status_command(const Settings& settings);

/// Prints the rules of a Service, or why there are none. If no process answers, or with --services,
/// it reads the cluster or the file itself, as plan does. 0: it has rules, or --skipped; 1: none;
/// 3: could not be determined.
[[nodiscard]] int explain_command(const Settings& own, const World& world);

/// True if a process answers at --listen and reports in text or JSON that it is ready.
[[nodiscard]] bool says_ready(std::string_view status);

}  // namespace nmanager::run
