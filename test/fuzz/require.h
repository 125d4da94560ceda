// Assertions of fuzz targets, active in every build.
#pragma once

#include <cstdlib>
#include <string_view>

namespace nmanager::test {

inline void require(bool holds) {
  if (!holds) std::abort();
}

/// Error messages and reasons must fit in one line of a log.
inline bool one_line(std::string_view text) {
  return text.find('\n') == std::string_view::npos;
}

}  // namespace nmanager::test
