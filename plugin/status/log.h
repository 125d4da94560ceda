// The log: one line for each event of interest to an operator, on standard error.
#pragma once

#include <spdlog/async_logger.h>
#include <spdlog/details/thread_pool.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "plugin/model/settings.h"

namespace nmanager::status {

/// Text ("2026-01-02T03:04:05.678Z warning ...") or one JSON object per line. A separate thread
/// writes the lines, so that no logging thread waits for a reader that has stopped reading. If the
/// queue is full, the oldest line is dropped and counted.
class Log {
 public:
  /// `level` is one of spdlog's names.
  Log(std::string_view level, LogFormat format);
  /// Waits for the writer; if there may be no reader, the process ends without this.
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  /// Any thread; never blocks.
  void write(spdlog::level::level_enum level, const std::string& text);
  [[nodiscard]] bool shows(spdlog::level::level_enum level) const {
    return logger_->should_log(level);
  }
  /// Lines dropped so far.
  [[nodiscard]] std::uint64_t lost() const;
  /// Waits until all lines are written, at most `bound`. False: some are not.
  bool flush(std::chrono::milliseconds bound);

 private:
  class Sink;

  std::shared_ptr<Sink> sink_;
  std::shared_ptr<spdlog::details::thread_pool> writer_;
  std::shared_ptr<spdlog::async_logger> logger_;
  std::atomic<std::uint64_t> queued_{0};
};

}  // namespace nmanager::status
