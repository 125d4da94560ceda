#include "plugin/run/real_output.h"

#include <utility>

#include "plugin/settings/parse.h"

namespace nmanager::run {

namespace {

constexpr Millis kServeAgain{1'000};

}  // namespace

RealOutput::RealOutput(const Settings& settings, TimePoint now, std::function<void()> wake)
    : log_(settings.log_level.value, settings.log_format.value),
      board_(now, wake),
      questions_(std::move(wake)),
      listen_(settings::parse_loopback_endpoint(settings.listen.value)) {}

void RealOutput::log(reconciler::LogLine::Level level, const std::string& text) {
  using Level = reconciler::LogLine::Level;
  switch (level) {
    case Level::kDebug:
      return log_.write(spdlog::level::debug, text);
    case Level::kInfo:
      return log_.write(spdlog::level::info, text);
    case Level::kWarning:
      return log_.write(spdlog::level::warn, text);
    case Level::kError:
      return log_.write(spdlog::level::err, text);
  }
}

bool RealOutput::logs_debug() const {
  return log_.shows(spdlog::level::debug);
}

void RealOutput::publish(Snapshot snapshot) {
  board_.publish(std::make_shared<const Snapshot>(std::move(snapshot)));
}

std::string RealOutput::serve(TimePoint now) {
  if (server_) return {};
  if (tried_at_ != TimePoint{} && now - tried_at_ < kServeAgain) return problem_;
  tried_at_ = now;
  if (!listen_) return listen_.error().message;
  auto server = status::StatusServer::start(listen_->address, listen_->port, board_, questions_);
  if (!server) {
    problem_ = server.error().message;
    return problem_;
  }
  server_ = std::move(*server);
  return {};
}

}  // namespace nmanager::run
