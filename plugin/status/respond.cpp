#include "plugin/status/respond.h"

#include <optional>

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

bool has_parameter(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    const auto end = query.find('&');
    const auto one = query.substr(0, end);
    if (one.substr(0, one.find('=')) == name) return true;
    if (end == std::string_view::npos) break;
    query.remove_prefix(end + 1);
  }
  return false;
}

/// What a loop that stands still has published is not the state of now.
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
    answer.status = snapshot.ready() ? 200 : 503;
    answer.body = render_readyz(snapshot, has_parameter(query, "verbose"));
  } else if (path == "/status") {
    answer.body = render_status(snapshot, std::chrono::system_clock::now());
  } else {
    const double start =
        std::chrono::duration<double>(snapshot.started_at.time_since_epoch()).count();
    answer.content_type = "text/plain; version=0.0.4; charset=utf-8";
    answer.body = render_metrics(snapshot, read_process_stats(start));
  }
  return answer;
}

}  // namespace

bool shows_counters(std::string_view target) {
  const std::string_view path = target.substr(0, target.find('?'));
  return path == "/status" || path == "/metrics";
}

Answer respond(std::string_view method, std::string_view target, const StatusBoard& board,
               StatusBoard::SteadyTime now) {
  if (method != "GET" && method != "HEAD") return {405, "text/plain", "GET or HEAD only\n"};
  const auto mark = target.find('?');
  const std::string_view path = target.substr(0, mark);
  const std::string_view query =
      mark == std::string_view::npos ? std::string_view() : target.substr(mark + 1);
  if (path == "/livez") return livez(board, now);
  if (path != "/readyz" && path != "/status" && path != "/metrics") {
    return {404, "text/plain", "not found; there are /livez, /readyz, /status and /metrics\n"};
  }
  const SnapshotPtr snapshot = board.current();
  if (!snapshot) return {503, "text/plain", "not ready\nstarting\n"};
  if (path == "/readyz") {
    if (auto answer = too_old(board, now)) return *answer;
  }
  return from_snapshot(path, query, *snapshot);
}

}  // namespace nmanager::status
