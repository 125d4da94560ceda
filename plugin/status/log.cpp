#include "plugin/status/log.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>

#include "plugin/status/render.h"

namespace nmanager {

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

/// Length of the UTF-8 sequence at the front of `text`; 0: none (RFC 3629: shortest form, no
/// surrogates, up to U+10FFFF).
std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  const std::size_t length = first < 0x80   ? 1
                             : first < 0xc2 ? 0
                             : first < 0xe0 ? 2
                             : first < 0xf0 ? 3
                             : first < 0xf5 ? 4
                                            : 0;
  if (length == 0 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  if ((first == 0xe0 && byte(1) < 0xa0) || (first == 0xed && byte(1) > 0x9f) ||
      (first == 0xf0 && byte(1) < 0x90) || (first == 0xf4 && byte(1) > 0x8f)) {
    return 0;
  }
  return length;
}

std::string hex_escape(unsigned char c) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  return std::string("\\u00") + kDigits[c >> 4] + kDigits[c & 0xf];
}

}  // namespace

std::string json_escaped(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    const char c = text.front();
    const std::size_t length = utf8_length(text);
    if (length == 0) {
      result += "\\ufffd";
      text.remove_prefix(1);
      continue;
    }
    if (c == '"' || c == '\\') {
      result += std::string("\\") + c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      result += hex_escape(static_cast<unsigned char>(c));
    } else {
      result += text.substr(0, length);
    }
    text.remove_prefix(length);
  }
  return result;
}

std::string one_line(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (c == '\n') {
      result += "\\n";
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      result += hex_escape(static_cast<unsigned char>(c));
    } else {
      result += c;
    }
  }
  return result;
}

std::shared_ptr<spdlog::logger> make_log(std::string_view level, LogFormat format) {
  auto log = std::make_shared<spdlog::logger>("nmanager",
                                              std::make_shared<spdlog::sinks::stderr_sink_mt>());
  log->set_level(spdlog::level::from_str(std::string(level)));
  log->set_formatter(std::make_unique<LineFormatter>(format));
  log->flush_on(spdlog::level::trace);
  return log;
}

}  // namespace nmanager
