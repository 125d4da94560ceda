// The commands that look or act once and end; their exit codes are the process'.
#pragma once

#include "plugin/model/settings.h"
#include "plugin/run/world.h"

namespace nmanager::run {

/// 0: done; 1: something could not be done, reported on standard error; 2: bad usage or settings.
inline constexpr int kExitDone = 0;
inline constexpr int kExitFailed = 1;
inline constexpr int kExitUsage = 2;

/// Prints what `run` would change now, as texts for the tools that their first lines name; changes
/// nothing. Decides as `run` does: the same code asks kube-proxy, lists Services where they are
/// wanted, and chooses the backend.
[[nodiscard]] int plan_command(const Settings& own, const World& world);

/// Takes every chain and jump of ours out of every backend's tables. Refuses while a running
/// nmanager would put them back.
[[nodiscard]] int cleanup_command(const Settings& own, const World& world);

/// Prints the running process' status; 0: ready, 1: not ready, 2: no process answers.
[[nodiscard]] int status_command(const Settings& settings);

}  // namespace nmanager::run
