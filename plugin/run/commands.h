// The commands that look or act once and end; their exit codes are the process'.
#pragma once

#include <iosfwd>

#include "plugin/model/settings.h"

namespace nmanager::run {

/// 0: done; 1: something could not be done, told on standard error; 2: bad usage or settings.
inline constexpr int kExitDone = 0;
inline constexpr int kExitFailed = 1;
inline constexpr int kExitUsage = 2;

/// Prints what `run` would change now, as iptables-restore text; changes nothing.
[[nodiscard]] int plan_command(const Settings& own);

/// Takes every chain and jump of ours out of every variant's tables.
[[nodiscard]] int cleanup_command(const Settings& own);

/// Prints the running process' status; 0: ready, 1: not ready, 2: no process answers.
[[nodiscard]] int status_command(const Settings& settings);

}  // namespace nmanager::run
