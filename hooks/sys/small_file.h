// Reading a small text file whole, with a bound.
#pragma once

#include <string>

#include "hooks/values/result.h"

namespace nmanager::sys {

/// The whole of a regular file of at most `max_bytes`. kAbsent: it does not exist; kDenied;
/// kBadInput: too large, or not a regular file (a pipe is never waited for). Never blocks on a
/// device.
[[nodiscard]] Result<std::string> read_small_file(const std::string& path, std::size_t max_bytes);

}  // namespace nmanager::sys
