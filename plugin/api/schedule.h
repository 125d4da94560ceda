// What the client does after a list or a watch has ended, and how long it waits before. Pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <random>
#include <string>

#include "hooks/values/result.h"

namespace nmanager::api {

/// How a list or a watch ended.
struct Ending {
  enum class Kind {
    kDone,     // a list is complete; a watch ended cleanly (its timeout, or the server restarts)
    kExpired,  // 410: the resourceVersion or continue token is too old
    kUnauthorized,  // 401
    kForbidden,     // 403
    kThrottled,     // 429, or a 5xx with Retry-After
    kServerError,   // 5xx, an ERROR event, any other status
    kUnreachable,   // refused, reset, TLS, DNS, silence
    kGarbled,       // bytes that are no answer
    kStopped,       // we stop
  };
  Kind kind = Kind::kDone;
  std::string message;  // one line
  std::optional<std::chrono::seconds> retry_after;
  bool progressed = false;  // a complete list, or a watch that brought an event or bookmark
};

[[nodiscard]] ErrorKind error_kind(Ending::Kind kind);

/// An HTTP status as an ending; `message` is what the server said.
[[nodiscard]] Ending ending_of_status(int status, std::optional<std::chrono::seconds> retry_after,
                                      const std::string& message);

struct NextStep {
  enum class What { kList, kWatch, kStop };
  What what = What::kList;
  std::chrono::milliseconds delay{0};
  bool failed = false;  // something an operator may want to know
};

class Schedule {
 public:
  static constexpr std::chrono::milliseconds kFirstDelay{200};
  static constexpr std::chrono::milliseconds kMaxDelay{30'000};
  static constexpr std::chrono::milliseconds kMaxRetryAfter{60'000};
  /// A server may end every watch cleanly, at once and for ever: after one that brought something,
  /// and after one that brought nothing (or after every 410 that follows an event).
  static constexpr std::chrono::milliseconds kPause{100};
  static constexpr std::chrono::milliseconds kQuietDelay{1'000};

  explicit Schedule(std::uint64_t seed) : random_(seed) {}

  [[nodiscard]] NextStep after_list(const Ending& ending);
  [[nodiscard]] NextStep after_watch(const Ending& ending);

 private:
  [[nodiscard]] NextStep failed(NextStep::What what, const Ending& ending);

  std::mt19937_64 random_;
  int failures_ = 0;  // in a row
};

}  // namespace nmanager::api
