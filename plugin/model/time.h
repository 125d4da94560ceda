// Points in time: `TimePoint` decides, `WallTime` is only shown.
#pragma once

#include <chrono>

namespace nmanager {

using TimePoint = std::chrono::steady_clock::time_point;
using Millis = std::chrono::milliseconds;
/// Wall-clock time; used for showing only, never for deciding.
using WallTime = std::chrono::system_clock::time_point;

/// Both clocks at one moment.
struct Now {
  TimePoint mono;
  WallTime wall;
};

}  // namespace nmanager
