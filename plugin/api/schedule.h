// What the client does after a list or a watch has ended, and how long it waits before. Pure: the
// client's whole state machine is the table in schedule.cpp.
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
    kUnsupported,   // the server knows no streaming lists
    kUnauthorized,  // 401
    kForbidden,     // 403
    kThrottled,     // 429, or a 5xx with Retry-After
    kRefused,       // any other status or ERROR event
    kUnreachable,   // no connection, no TLS, no credentials: the server has heard nothing
    kLost,          // the connection broke
    kSilent,        // it stayed open, and nothing came
    kGarbled,       // bytes that are no answer
    kTooMuch,       // an answer beyond all bounds
    kStopped,       // we stop
  };
  Kind kind = Kind::kDone;
  std::string message = {};  // one line
  std::optional<std::chrono::seconds> retry_after = {};
  bool progressed = false;                // a complete list, or a watch that brought something
  std::chrono::milliseconds lasted = {};  // of a watch, from the server's first word on
};

[[nodiscard]] Ending make_ending(Ending::Kind kind, std::string message);
/// "no answer for 90000 ms"
[[nodiscard]] std::string silence_text(std::chrono::milliseconds silence);
[[nodiscard]] ErrorKind error_kind(Ending::Kind kind);
/// For metrics: "refused", "silent", ...
[[nodiscard]] std::string_view name_of(Ending::Kind kind);

/// A refusal as an ending; `body`: what the server said.
[[nodiscard]] Ending ending_of_status(int status, std::optional<std::chrono::seconds> retry_after,
                                      const services::ApiStatus& body);

struct NextStep {
  enum class What : std::uint8_t {
    kStreamList,  // a watch that begins with all that exists (sendInitialEvents)
    kFollow,      // the watch that a streaming list has become
    kCachedList,  // resourceVersion=0: out of the server's watch cache
    kPagedList,   // consistent, in pages of `page_size`: a quorum read
    kWholeList,   // consistent, without pages, where their continue tokens expire at once
    kWatch,
    kStop
  };
  What what = What::kStreamList;
  std::chrono::milliseconds delay{0};
  bool failed = false;  // something an operator may want to know
  int page_size = 0;    // with kPagedList
};

[[nodiscard]] constexpr bool is_list(NextStep::What what) {
  using What = NextStep::What;
  return what == What::kStreamList || what == What::kCachedList || what == What::kPagedList ||
         what == What::kWholeList;
}

class Schedule {
 public:
  /// As client-go's reflector, but for the spread: a delay is between a quarter and the whole of
  /// its step, so that nodes that lost their server at one moment come back apart.
  static constexpr std::chrono::milliseconds kFirstDelay{800};
  static constexpr std::chrono::milliseconds kMaxDelay{30'000};
  static constexpr std::chrono::milliseconds kMaxRetryAfter{60'000};
  /// A watch that lasted this long was a good one: whatever it ended with begins a new row.
  static constexpr std::chrono::milliseconds kSettled{60'000};
  /// After a watch that ended cleanly; a server may do that at once and for ever.
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
  bool streaming_ = true;  // until the server has shown that it cannot
  NextStep::What form_ = NextStep::What::kStreamList;
  int form_failures_ = 0;  // of this form of list, in a row
  bool cached_too_large_ = false;
  int page_size_ = kPageSize;
  // In a row each: lists that failed, watches that broke, lists because of a watch, clean ends of
  // watches. A row of the latter three ends with a watch that settles, however much the others got
  // through.
  int failed_lists_ = 0;
  int broken_watches_ = 0;
  int forced_lists_ = 0;
  int clean_ends_ = 0;
};

}  // namespace nmanager::api
