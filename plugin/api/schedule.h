// The client's next step after a list or a watch has ended, and the delay before it. Pure: the
// table in schedule.cpp is the client's whole state machine.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <string_view>

#include "hooks/values/result.h"
#include "plugin/services/decode.h"

namespace nmanager::api {

/// How a list or a watch ended.
struct Ending {
  enum class Kind : std::uint8_t {
    kDone,      // a list is complete; a watch ended cleanly (its timeout, or the server restarts)
    kExpired,   // 410: the resourceVersion or continue token is too old
    kTooLarge,  // the server is behind the resourceVersion
    kUnsupported,   // the server does not support streaming lists
    kUnauthorized,  // 401
    kForbidden,     // 403
    kThrottled,     // 429, or a 5xx with Retry-After
    kRefused,       // any other status or ERROR event
    kUnreachable,   // no connection, TLS or credentials: no request was sent
    kLost,          // the connection broke
    kSilent,        // the connection stayed open without data
    kGarbled,       // bytes that are not an HTTP answer
    kTooMuch,       // the answer exceeds the bounds
    kStopped,       // the client is stopping
  };
  Kind kind = Kind::kDone;
  std::string message = {};  // one line
  std::optional<std::chrono::seconds> retry_after = {};
  bool progressed = false;                // a complete list, or a watch with at least one event
  std::chrono::milliseconds lasted = {};  // of a watch, from the server's first answer on
};

[[nodiscard]] Ending make_ending(Ending::Kind kind, std::string message);
/// "no answer for 90000 ms"
[[nodiscard]] std::string silence_text(std::chrono::milliseconds silence);
[[nodiscard]] ErrorKind error_kind(Ending::Kind kind);
/// For metrics: "refused", "silent", ...
[[nodiscard]] std::string_view name_of(Ending::Kind kind);

/// A refusal as an ending; `body`: the server's answer.
[[nodiscard]] Ending ending_of_status(int status, std::optional<std::chrono::seconds> retry_after,
                                      const services::ApiStatus& body);

struct NextStep {
  enum class What : std::uint8_t {
    kStreamList,  // a watch that begins with all objects (sendInitialEvents)
    kFollow,      // the watch after a streaming list
    kCachedList,  // resourceVersion=0: from the server's watch cache
    kPagedList,   // consistent, in pages of `page_size`: a quorum read
    kWholeList,   // consistent, without pages, where their continue tokens expire at once
    kWatch,
    kStop
  };
  What what = What::kStreamList;
  std::chrono::milliseconds delay{0};
  bool failed = false;  // of interest to an operator
  int page_size = 0;    // with kPagedList
};

[[nodiscard]] constexpr bool is_list(NextStep::What what) {
  using What = NextStep::What;
  return what == What::kStreamList || what == What::kCachedList || what == What::kPagedList ||
         what == What::kWholeList;
}

class Schedule {
 public:
  /// As client-go's reflector except for the jitter: a delay is between a quarter and the whole of
  /// its step, so that nodes that lost their server at the same time return at different times.
  static constexpr std::chrono::milliseconds kFirstDelay{800};
  static constexpr std::chrono::milliseconds kMaxDelay{30'000};
  static constexpr std::chrono::milliseconds kMaxRetryAfter{60'000};
  /// A watch that lasted this long was successful: its ending starts a new series.
  static constexpr std::chrono::milliseconds kSettled{60'000};
  /// After a watch that ended cleanly; a server may end every watch at once.
  static constexpr std::chrono::milliseconds kMaxPause{5'000};
  static constexpr int kPageSize = 500;

  explicit Schedule(std::uint64_t seed) : random_(seed) {}

  [[nodiscard]] NextStep first();
  /// `what`: the step that ended.
  [[nodiscard]] NextStep after(NextStep::What what, const Ending& ending);

 private:
  [[nodiscard]] NextStep after_list(NextStep::What what, const Ending& ending);
  [[nodiscard]] NextStep after_watch(const Ending& ending);
  [[nodiscard]] NextStep list(std::chrono::milliseconds delay, bool failed);
  void form_failed(NextStep::What what, const Ending& ending);
  [[nodiscard]] std::chrono::milliseconds delay_of(int& row, const Ending& ending,
                                                   std::chrono::milliseconds most);

  std::mt19937_64 random_;
  bool streaming_ = true;  // until the server has shown that it does not support it
  NextStep::What form_ = NextStep::What::kStreamList;
  int form_failures_ = 0;  // consecutive, of this form of list
  bool cached_too_large_ = false;
  int page_size_ = kPageSize;
  // Consecutive counts: failed lists, broken watches, lists because of a watch, clean ends of
  // watches. Only a watch that lasts resets the latter three, whatever progress the others made.
  int failed_lists_ = 0;
  int broken_watches_ = 0;
  int forced_lists_ = 0;
  int clean_ends_ = 0;
};

}  // namespace nmanager::api
