// The log: one line for each thing an operator wants to know, on standard error.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include <spdlog/logger.h>

#include "plugin/model/settings.h"

namespace nmanager::status {

/// Text ("2026-01-02T03:04:05.678Z warning ...") or a JSON object a line. Any thread may log.
/// `level` is one of spdlog's names.
[[nodiscard]] std::shared_ptr<spdlog::logger> make_log(std::string_view level, LogFormat format);

}  // namespace nmanager::status
