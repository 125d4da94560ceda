// Answers a request by its method and target. Pure except for the process' own statistics.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "hooks/values/result.h"
#include "plugin/model/explanation.h"
#include "plugin/status/board.h"

namespace nmanager::status {

struct Answer {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
};

/// The loop is treated as dead if it has not run for this long. A commit into a table of 10,000
/// Services takes about a second (facts: legacy tables), ten tries of it ten.
inline constexpr std::chrono::seconds kBeatLimit{30};

/// Readiness requires a turn that is not older than this: a turn that waits for the xtables lock
/// takes at most 15 s.
inline constexpr std::chrono::seconds kTurnLimit{20};

/// The query of /explain: ?service=NS/NAME, ?skipped or ?skipped=REASON, and ?json, ?colour.
struct ExplainRequest {
  ServiceQuestion question;
  bool json = false;
  bool colour = false;
};
/// nullopt: the target is another path. An error describes what is wrong with the query.
[[nodiscard]] std::optional<Result<ExplainRequest>> explain_request(std::string_view target);
[[nodiscard]] Answer answer_of(const ExplainRequest& request, const Explanation& explanation);
/// True if the answer to a GET of `target` shows counters of the rules.
[[nodiscard]] bool shows_counters(std::string_view target);

[[nodiscard]] Answer respond(std::string_view method, std::string_view target,
                             const StatusBoard& board, StatusBoard::SteadyTime now);

}  // namespace nmanager::status
