// Resource usage of this process, from /proc/self.
#pragma once

#include "plugin/status/render.h"

namespace nmanager::status {

/// Any thread. Unreadable values are 0. `start_time`, in seconds since 1970, is passed through.
[[nodiscard]] ProcessStats read_process_stats(double start_time);

}  // namespace nmanager::status
