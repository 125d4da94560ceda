#include "plugin/status/log.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <mutex>
#include <thread>
#include <utility>

#include "hooks/values/text.h"
#include "plugin/status/render.h"

namespace nmanager::status {

namespace {

/// The queue is allocated whole, at 400 bytes a line.
constexpr std::size_t kQueuedLines = 256;

std::string_view view(const spdlog::string_view_t& text) {
  return {text.data(), text.size()};
}

void append(spdlog::memory_buf_t& out, std::string_view text) {
  out.append(text.data(), text.data() + text.size());
}

class LineFormatter final : public spdlog::formatter {
 public:
  explicit LineFormatter(LogFormat format) : format_(format) {}

  void format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& out) override {
    const std::string_view level = view(spdlog::level::to_string_view(message.level));
    if (format_ == LogFormat::kJson) {
      append(out, "{\"ts\":\"" + utc(message.time) + "\",\"level\":\"" + std::string(level) +
                      "\",\"msg\":\"" + json_escaped(view(message.payload)) + "\"}\n");
    } else {
      append(out, utc(message.time) + ' ' + std::string(level) + ' ' +
                      one_line(view(message.payload)) + '\n');
    }
  }

  [[nodiscard]] std::unique_ptr<formatter> clone() const override {
    return std::make_unique<LineFormatter>(format_);
  }

 private:
  LogFormat format_;
};

}  // namespace

/// Writes whole lines; its thread may block while no process reads standard error.
class Log::Sink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  /// Lines that were written or could not be written.
  [[nodiscard]] std::uint64_t done() const { return done_.load(); }

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    const char* at = line.data();
    std::size_t left = line.size();
    while (left > 0) {
      const ssize_t written = ::write(STDERR_FILENO, at, left);
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) break;  // the reader has closed its end
      at += written;
      left -= static_cast<std::size_t>(written);
    }
    ++done_;
  }
  void flush_() override {}

 private:
  std::atomic<std::uint64_t> done_{0};
};

Log::Log(std::string_view level, LogFormat format)
    : sink_(std::make_shared<Sink>()),
      writer_(std::make_shared<spdlog::details::thread_pool>(kQueuedLines, 1)),
      logger_(std::make_shared<spdlog::async_logger>(
          "nmanager", sink_, writer_, spdlog::async_overflow_policy::overrun_oldest)) {
  logger_->set_level(spdlog::level::from_str(std::string(level)));
  logger_->set_formatter(std::make_unique<LineFormatter>(format));
}

Log::~Log() = default;

void Log::write(spdlog::level::level_enum level, const std::string& text) {
  if (!shows(level)) return;
  ++queued_;
  logger_->log(level, spdlog::string_view_t(text));
}

std::uint64_t Log::lost() const {
  return writer_->overrun_counter();
}

bool Log::flush(std::chrono::milliseconds bound) {
  const auto deadline = std::chrono::steady_clock::now() + bound;
  while (sink_->done() + lost() < queued_.load()) {
    if (std::chrono::steady_clock::now() >= deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

}  // namespace nmanager::status
