// The log on standard error and the HTTP endpoint.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "plugin/run/world.h"
#include "plugin/status/board.h"
#include "plugin/status/log.h"
#include "plugin/status/server.h"

namespace nmanager::run {

class RealOutput final : public Output {
 public:
  /// `wake` starts a turn of the owner thread: a client has sent a question. Any thread.
  RealOutput(const Settings& settings, TimePoint now, std::function<void()> wake);

  void log(reconciler::LogLine::Level level, const std::string& text) override;
  [[nodiscard]] bool logs_debug() const override;
  [[nodiscard]] std::uint64_t lost_log_lines() const override { return log_.lost(); }
  void publish(Snapshot snapshot) override;
  [[nodiscard]] std::uint64_t asked() override { return board_.asked(); }
  void beat(TimePoint now) override { board_.beat(now); }
  [[nodiscard]] std::vector<status::PendingQuestion> take_questions() override {
    return questions_.take();
  }
  [[nodiscard]] std::string serve(TimePoint now) override;

  /// Waits until everything is written or the bound has passed; for the end of the process.
  void flush(std::chrono::milliseconds bound) { log_.flush(bound); }

 private:
  status::Log log_;
  status::StatusBoard board_;
  status::Questions questions_;
  Result<Endpoint> listen_;
  TimePoint tried_at_{};
  std::string problem_;
  std::unique_ptr<status::StatusServer> server_;  // last: it shows the board
};

}  // namespace nmanager::run
