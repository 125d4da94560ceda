// Watches this node for a while and reads the state of conntrack, for `nmanager diagnose`. Writes
// nothing.
#pragma once

#include <chrono>

#include "plugin/diagnose/evidence.h"
#include "plugin/run/world.h"

namespace nmanager::run {

/// Records what RSTs and conntrack show within `time`; ends earlier if a stop is requested.
void watch_resets(Process& process, std::chrono::milliseconds time, diagnose::Evidence& evidence);

/// nf_conntrack's sysctls of this network namespace.
void read_conntrack_settings(diagnose::ConntrackSeen& seen);

}  // namespace nmanager::run
