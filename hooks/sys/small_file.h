// Reads a whole small text file, with a size limit.
#pragma once

#include <string>

#include "hooks/values/result.h"

namespace nmanager::sys {

/// The content of a regular file of at most `max_bytes`. kAbsent: it does not exist; kDenied: no
/// permission; kBadInput: too large, or not a regular file. Never blocks on a pipe or device.
[[nodiscard]] Result<std::string> read_small_file(const std::string& path, std::size_t max_bytes);

}  // namespace nmanager::sys
