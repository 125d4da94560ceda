// The commands that look or act once and end; their exit codes are the process'.
#pragma once

#include <string>

#include "plugin/model/settings.h"
#include "plugin/reconciler/state.h"
#include "plugin/run/surroundings.h"
#include "plugin/run/world.h"

namespace nmanager::run {

/// 0: done; 1: something could not be done, reported on standard error; 2: bad usage or settings.
/// What they mean for each command: settings/commands.h.
inline constexpr int kExitDone = 0;
inline constexpr int kExitFailed = 1;
inline constexpr int kExitUsage = 2;
inline constexpr int kExitNoAnswer = 3;

/// The state after one look around, as `run` would have it after its first list.
[[nodiscard]] Result<reconciler::State> look_once(Surroundings& around, const World& world);
/// Services from --services FILE, else from the API.
[[nodiscard]] Result<ServicesListed> services_of(const Settings& settings, const World& world);

/// A line on standard error.
void say(const std::string& line);
void print(const std::string& text);

/// Prints what `run` would change now, as texts for the tools that their first lines name; changes
/// nothing. Decides as `run` does: the same code asks kube-proxy, lists Services where they are
/// wanted, and chooses the backend.
[[nodiscard]] int plan_command(const Settings& own, const World& world);

/// Takes every chain and jump of ours out of every backend's tables. Refuses while a running
/// nmanager would put them back.
[[nodiscard]] int cleanup_command(const Settings& own, const World& world);

}  // namespace nmanager::run
