#include "plugin/status/log.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>

#include "hooks/values/text.h"
#include "plugin/status/render.h"

namespace nmanager::status {

namespace {

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

std::shared_ptr<spdlog::logger> make_log(std::string_view level, LogFormat format) {
  auto log = std::make_shared<spdlog::logger>("nmanager",
                                              std::make_shared<spdlog::sinks::stderr_sink_mt>());
  log->set_level(spdlog::level::from_str(std::string(level)));
  log->set_formatter(std::make_unique<LineFormatter>(format));
  log->flush_on(spdlog::level::trace);
  return log;
}

}  // namespace nmanager::status
