// The log on standard error and the HTTP endpoint.
#pragma once

#include <memory>
#include <string>

#include "hooks/sys/fd.h"
#include "plugin/run/world.h"
#include "plugin/status/board.h"
#include "plugin/status/log.h"
#include "plugin/status/server.h"

namespace nmanager::run {

class RealOutput final : public Output {
 public:
  RealOutput(const Settings& settings, TimePoint now);

  void log(reconciler::LogLine::Level level, const std::string& text) override;
  [[nodiscard]] bool logs_debug() const override;
  [[nodiscard]] std::uint64_t lost_log_lines() const override { return log_.lost(); }
  void publish(Snapshot snapshot) override;
  [[nodiscard]] std::uint64_t asked() override;
  [[nodiscard]] int asked_fd() const override { return asked_.get(); }
  void beat(TimePoint now) override { board_.beat(now); }
  [[nodiscard]] std::string serve(TimePoint now) override;

  /// Waits until everything was written, or the bound is over; for the end of the process.
  void flush(std::chrono::milliseconds bound) { log_.flush(bound); }

 private:
  status::Log log_;
  sys::Fd asked_;  // eventfd
  status::StatusBoard board_;
  Result<Endpoint> listen_;
  TimePoint tried_at_{};
  std::string problem_;
  std::unique_ptr<status::StatusServer> server_;  // last: it shows the board
};

}  // namespace nmanager::run
