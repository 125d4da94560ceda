// The log: one line for each thing an operator wants to know, on standard error.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include <spdlog/logger.h>

#include "plugin/settings/settings.h"

namespace nmanager {

/// Text ("2026-01-02T03:04:05.678Z warning ...") or a JSON object a line. Any thread may log.
/// `level` is one of spdlog's names.
[[nodiscard]] std::shared_ptr<spdlog::logger> make_log(std::string_view level, LogFormat format);

/// `text` as the inside of a JSON string; bytes that are no UTF-8 become U+FFFD.
[[nodiscard]] std::string json_escaped(std::string_view text);

/// Line breaks and other control characters escaped.
[[nodiscard]] std::string one_line(std::string_view text);

}  // namespace nmanager
