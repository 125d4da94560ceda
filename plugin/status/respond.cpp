#include "plugin/status/respond.h"

#include <optional>

#include "hooks/values/text.h"
#include "plugin/status/process_stats.h"
#include "plugin/status/render.h"

namespace nmanager::status {

namespace {

Answer livez(const StatusBoard& board, StatusBoard::SteadyTime now) {
  Answer answer;
  const auto age = board.beat_age(now);
  if (age <= kBeatLimit) {
    answer.body = "ok";
    return answer;
  }
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(age).count();
  answer.status = 503;
  answer.body = "the loop has not turned for " + std::to_string(seconds) + " s\n";
  return answer;
}

/// The value of a parameter; empty if it has none. nullopt: no such parameter.
std::optional<std::string_view> parameter(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    const auto end = query.find('&');
    const auto one = query.substr(0, end);
    const auto equals = one.find('=');
    if (one.substr(0, equals) == name) {
      return equals == std::string_view::npos ? std::string_view() : one.substr(equals + 1);
    }
    if (end == std::string_view::npos) break;
    query.remove_prefix(end + 1);
  }
  return std::nullopt;
}

bool has_parameter(std::string_view query, std::string_view name) {
  return parameter(query, name).has_value();
}

struct Target {
  std::string_view path;
  std::string_view query;
};

Target split(std::string_view target) {
  const auto mark = target.find('?');
  if (mark == std::string_view::npos) return {target, {}};
  return {target.substr(0, mark), target.substr(mark + 1)};
}

/// The snapshot of a loop that no longer runs does not show the current state.
std::optional<Answer> too_old(const StatusBoard& board, StatusBoard::SteadyTime now) {
  const auto age = board.beat_age(now);
  if (age <= kTurnLimit) return std::nullopt;
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(age).count();
  return Answer{503, "text/plain; charset=utf-8",
                "[-]loop-turns failed: the last turn was " + std::to_string(seconds) +
                    " s ago, nothing is known of now\nreadyz check failed\n"};
}

Answer from_snapshot(std::string_view path, std::string_view query, const Snapshot& snapshot) {
  Answer answer;
  if (path == "/readyz") {
    answer.status = snapshot.ready() || snapshot.ready_when_alive ? 200 : 503;
    answer.body = render_readyz(snapshot, has_parameter(query, "verbose"));
  } else if (path == "/status") {
    if (has_parameter(query, "json")) {
      answer.content_type = "application/json";
      answer.body = render_status_json(snapshot);
    } else {
      answer.body =
          render_status(snapshot, std::chrono::system_clock::now(),
                        {has_parameter(query, "settings"), has_parameter(query, "colour")});
    }
  } else {
    const double start =
        std::chrono::duration<double>(snapshot.started_at.time_since_epoch()).count();
    answer.content_type = "text/plain; version=0.0.4; charset=utf-8";
    answer.body = render_metrics(snapshot, read_process_stats(start));
  }
  return answer;
}

}  // namespace

std::optional<Result<ExplainRequest>> explain_request(std::string_view target) {
  const auto [path, query] = split(target);
  if (path != "/explain") return std::nullopt;
  ExplainRequest request;
  request.json = has_parameter(query, "json");
  request.colour = has_parameter(query, "colour");
  const auto service = parameter(query, "service");
  const auto skipped = parameter(query, "skipped");
  if (service && !skipped && is_service_key(*service)) {
    request.question.service = *service;
    return request;
  }
  if (!skipped || service) {
    return Error{ErrorKind::kBadInput, "service=NAMESPACE/NAME or skipped[=REASON] is needed"};
  }
  request.question.reason = skip_reason(*skipped);
  if (!skipped->empty() && !request.question.reason) {
    return Error{ErrorKind::kBadInput, in_quotes(*skipped) + " is not a reason"};
  }
  return request;
}

Answer answer_of(const ExplainRequest& request, const Explanation& explanation) {
  if (request.json) return {200, "application/json", render_explanation_json(explanation)};
  return {200, "text/plain; charset=utf-8", render_explanation(explanation, Paint(request.colour))};
}

bool shows_counters(std::string_view target) {
  const std::string_view path = split(target).path;
  return path == "/status" || path == "/metrics";
}

Answer respond(std::string_view method, std::string_view target, const StatusBoard& board,
               StatusBoard::SteadyTime now) {
  if (method != "GET" && method != "HEAD") return {405, "text/plain", "GET or HEAD only\n"};
  const auto [path, query] = split(target);
  if (path == "/livez") return livez(board, now);
  if (path != "/readyz" && path != "/status" && path != "/metrics") {
    return {404, "text/plain",
            "not found; there are /livez, /readyz, /status, /explain and /metrics\n"};
  }
  const SnapshotPtr snapshot = board.current();
  if (!snapshot) return {503, "text/plain", "not ready\nstarting\n"};
  if (path == "/readyz") {
    if (auto answer = too_old(board, now)) return *answer;
  }
  return from_snapshot(path, query, *snapshot);
}

}  // namespace nmanager::status
