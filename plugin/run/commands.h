// The commands that run once and end; they return the exit code of the process.
#pragma once

#include <string>
#include <vector>

#include "plugin/model/event.h"
#include "plugin/model/settings.h"
#include "plugin/reconciler/state.h"
#include "plugin/run/surroundings.h"
#include "plugin/run/world.h"

namespace nmanager::run {

/// 0: done; 1: something could not be done, reported on standard error; 2: bad usage or settings.
/// The meaning for each command: settings/commands.h.
inline constexpr int kExitDone = 0;
inline constexpr int kExitFailed = 1;
inline constexpr int kExitUsage = 2;
inline constexpr int kExitNoAnswer = 3;

/// The state after one reading of the node and the cluster, as `run` has it after its first list.
[[nodiscard]] Result<reconciler::State> look_once(Surroundings& around, const World& world);
/// Applies the events, with every change of Services that they bring.
void take_all(reconciler::State& state, std::vector<Event> events, Now now);
/// Services from --services FILE, else from the API.
[[nodiscard]] Result<ServicesListed> services_of(const Settings& settings, const World& world);

/// A line on standard error.
void say(const std::string& line);
void print(const std::string& text);

/// Prints the changes that `run` would make now, as input for the tools that the first lines name;
/// changes nothing. Decides as `run` does: the same code asks kube-proxy, lists Services if they
/// are wanted, and chooses the backend.
[[nodiscard]] int plan_command(const Settings& own, const World& world);

/// Removes all our chains and jumps from every backend's tables. Refuses while a running nmanager
/// would write them again.
[[nodiscard]] int cleanup_command(const Settings& own, const World& world);

}  // namespace nmanager::run
