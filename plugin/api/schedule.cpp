#include "plugin/api/schedule.h"

#include <algorithm>

namespace nmanager::api {

namespace {

using std::chrono::milliseconds;
using Kind = Ending::Kind;

}  // namespace

ErrorKind error_kind(Kind kind) {
  switch (kind) {
    case Kind::kUnauthorized:
    case Kind::kForbidden:
      return ErrorKind::kDenied;
    case Kind::kGarbled:
      return ErrorKind::kBadInput;
    case Kind::kExpired:
    case Kind::kThrottled:
      return ErrorKind::kRetry;
    default:
      return ErrorKind::kUnavailable;
  }
}

Ending ending_of_status(int status, std::optional<std::chrono::seconds> retry_after,
                        const std::string& message) {
  Ending ending;
  ending.message = "HTTP " + std::to_string(status) + (message.empty() ? "" : ": " + message);
  ending.retry_after = retry_after;
  if (status == 200) {
    ending.message.clear();
  } else if (status == 410) {
    ending.kind = Kind::kExpired;
  } else if (status == 401) {
    ending.kind = Kind::kUnauthorized;
  } else if (status == 403) {
    ending.kind = Kind::kForbidden;
  } else if (status == 429 || (status >= 500 && retry_after)) {
    ending.kind = Kind::kThrottled;
  } else {
    ending.kind = Kind::kServerError;
  }
  return ending;
}

NextStep Schedule::after_list(const Ending& ending) {
  switch (ending.kind) {
    case Kind::kDone:
      return {NextStep::What::kWatch, milliseconds(0), false};
    case Kind::kStopped:
      return {NextStep::What::kStop, milliseconds(0), false};
    default:
      return failed(NextStep::What::kList, ending);
  }
}

/// A watch that ended goes on from the last resourceVersion; one that cannot be trusted any more,
/// or whose version is too old, begins with a list, so that no deletion is lost.
NextStep Schedule::after_watch(const Ending& ending) {
  if (ending.kind == Kind::kStopped) return {NextStep::What::kStop, milliseconds(0), false};
  if (ending.progressed) failures_ = 0;
  switch (ending.kind) {
    case Kind::kDone:
      return {NextStep::What::kWatch, ending.progressed ? kPause : kQuietDelay, false};
    case Kind::kExpired:
      if (ending.progressed) return {NextStep::What::kList, kQuietDelay, false};
      return failed(NextStep::What::kList, ending);
    case Kind::kGarbled:
      return failed(NextStep::What::kList, ending);
    default:
      return failed(NextStep::What::kWatch, ending);
  }
}

NextStep Schedule::failed(NextStep::What what, const Ending& ending) {
  constexpr int kMaxShift = 10;
  const milliseconds full =
      std::min<milliseconds>(kFirstDelay * (1 << std::min(failures_, kMaxShift)), kMaxDelay);
  ++failures_;
  // Half fixed, half by chance: thousands of nodes must not come back in one moment.
  std::uniform_int_distribution<milliseconds::rep> jitter(0, full.count() / 2);
  milliseconds delay = full / 2 + milliseconds(jitter(random_));
  if (ending.retry_after) {
    const auto asked = std::min<milliseconds>(*ending.retry_after, kMaxRetryAfter);
    delay = std::max(delay, asked + milliseconds(jitter(random_)));
  }
  return {what, delay, true};
}

}  // namespace nmanager::api
