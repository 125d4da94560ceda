// Points in time: `TimePoint` for decisions, `WallTime` only for display.
#pragma once

#include <chrono>

namespace nmanager {

using TimePoint = std::chrono::steady_clock::time_point;
using Millis = std::chrono::milliseconds;
/// Wall-clock time; only for display, never for decisions.
using WallTime = std::chrono::system_clock::time_point;

/// Both clocks at one moment.
struct Now {
  TimePoint mono;
  WallTime wall;
};

}  // namespace nmanager
