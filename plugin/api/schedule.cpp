#include "plugin/api/schedule.h"

#include <algorithm>
#include <array>

namespace nmanager::api {

namespace {

using std::chrono::milliseconds;
using Kind = Ending::Kind;
using What = NextStep::What;

/// One row for each kind of ending, in the order of the enumeration.
struct Row {
  Kind kind;
  std::string_view name;
  ErrorKind error;
  bool counts_against_form;  // of a list: this form of list may be the cause
  bool list_after_watch;     // only a list recovers missed events, or the watch is in doubt
};

constexpr std::array kRows{
    Row{Kind::kDone, "done", ErrorKind::kUnavailable, false, false},
    Row{Kind::kExpired, "expired", ErrorKind::kRetry, true, true},
    Row{Kind::kTooLarge, "too_large_version", ErrorKind::kRetry, true, true},
    Row{Kind::kUnsupported, "unsupported", ErrorKind::kUnavailable, true, true},
    Row{Kind::kUnauthorized, "unauthorized", ErrorKind::kDenied, false, true},
    Row{Kind::kForbidden, "forbidden", ErrorKind::kDenied, false, true},
    Row{Kind::kThrottled, "throttled", ErrorKind::kRetry, false, false},
    Row{Kind::kRefused, "refused", ErrorKind::kUnavailable, true, true},
    Row{Kind::kUnreachable, "unreachable", ErrorKind::kUnavailable, false, false},
    Row{Kind::kLost, "lost", ErrorKind::kUnavailable, false, false},
    Row{Kind::kSilent, "silent", ErrorKind::kUnavailable, true, true},
    Row{Kind::kGarbled, "garbled", ErrorKind::kBadInput, true, true},
    Row{Kind::kTooMuch, "too_much", ErrorKind::kBadInput, true, true},
    Row{Kind::kStopped, "stopped", ErrorKind::kUnavailable, false, false},
};

constexpr bool in_order() {
  for (std::size_t i = 0; i < kRows.size(); ++i) {
    if (static_cast<std::size_t>(kRows[i].kind) != i) return false;
  }
  return kRows.size() == static_cast<std::size_t>(Kind::kStopped) + 1;
}
static_assert(in_order());

const Row& row_of(Kind kind) {
  return kRows[static_cast<std::size_t>(kind)];
}

/// After this many consecutive failures of a form, the next form is used.
constexpr int kFormFailures = 2;

}  // namespace

Ending make_ending(Kind kind, std::string message) {
  Ending ending;
  ending.kind = kind;
  ending.message = std::move(message);
  return ending;
}

std::string silence_text(std::chrono::milliseconds silence) {
  return "no answer for " + std::to_string(silence.count()) + " ms";
}

ErrorKind error_kind(Kind kind) {
  return row_of(kind).error;
}

std::string_view name_of(Kind kind) {
  return row_of(kind).name;
}

Ending ending_of_status(int status, std::optional<std::chrono::seconds> retry_after,
                        const services::ApiStatus& body) {
  Ending ending;
  if (status == 200) return ending;
  ending.message =
      "HTTP " + std::to_string(status) + (body.message.empty() ? "" : ": " + body.message);
  ending.retry_after = retry_after;
  if (status == 410 || body.expired()) {
    ending.kind = Kind::kExpired;
  } else if (body.too_large_version) {
    ending.kind = Kind::kTooLarge;
  } else if (status == 401) {
    ending.kind = Kind::kUnauthorized;
  } else if (status == 403) {
    ending.kind = Kind::kForbidden;
  } else if (status == 429 || (status >= 500 && retry_after)) {
    ending.kind = Kind::kThrottled;
  } else {
    ending.kind = Kind::kRefused;
  }
  return ending;
}

NextStep Schedule::first() {
  return list(milliseconds(0), false);
}

NextStep Schedule::after(What what, const Ending& ending) {
  if (ending.kind == Kind::kStopped || what == What::kStop) return {What::kStop};
  return is_list(what) ? after_list(what, ending) : after_watch(ending);
}

NextStep Schedule::after_list(What what, const Ending& ending) {
  if (ending.kind == Kind::kDone) {
    failed_lists_ = 0;
    broken_watches_ = 0;
    form_failures_ = 0;
    form_ = streaming_          ? What::kStreamList
            : cached_too_large_ ? What::kPagedList
                                : What::kCachedList;
    return {what == What::kStreamList ? What::kFollow : What::kWatch};
  }
  if (ending.kind == Kind::kUnsupported && what == What::kStreamList) {
    streaming_ = false;
    form_ = What::kCachedList;
    form_failures_ = 0;
    return list(milliseconds(0), false);
  }
  // The second page is too old each time: one whole list instead, at once.
  if (ending.kind == Kind::kExpired && ending.progressed && what != What::kWholeList) {
    form_ = What::kWholeList;
    form_failures_ = 0;
    return list(delay_of(failed_lists_, ending, kMaxDelay), true);
  }
  // A streaming list is a watch: it is denied to a client with the right to list only.
  if (ending.kind == Kind::kForbidden && what == What::kStreamList) form_ = What::kCachedList;
  if (row_of(ending.kind).counts_against_form) form_failed(what, ending);
  return list(delay_of(failed_lists_, ending, kMaxDelay), true);
}

/// The next form: streaming, from the cache, in pages, then the first one again.
void Schedule::form_failed(What what, const Ending& ending) {
  if (ending.kind == Kind::kTooMuch) {
    if (what == What::kPagedList) {
      page_size_ = std::max(page_size_ / 10, 1);
      return;
    }
    cached_too_large_ = cached_too_large_ || what == What::kCachedList;
    form_failures_ = kFormFailures;
  }
  if (++form_failures_ < kFormFailures) return;
  form_failures_ = 0;
  if (what == What::kStreamList) {
    form_ = What::kCachedList;
  } else if (what == What::kCachedList) {
    form_ = What::kPagedList;
  } else {
    form_ = streaming_ ? What::kStreamList : What::kCachedList;
  }
}

NextStep Schedule::after_watch(const Ending& ending) {
  const bool silent = ending.kind == Kind::kSilent;
  if (ending.lasted >= kSettled && !silent) {
    broken_watches_ = 0;
    forced_lists_ = 0;
    clean_ends_ = 0;
  }
  if (ending.kind == Kind::kDone) {
    return {What::kWatch, delay_of(clean_ends_, ending, kMaxPause)};
  }
  if (row_of(ending.kind).list_after_watch) {
    // A version that is too old is normal after a watch with events.
    const bool failed = ending.kind != Kind::kExpired || !ending.progressed;
    return list(delay_of(forced_lists_, ending, kMaxDelay), failed);
  }
  return {What::kWatch, delay_of(broken_watches_, ending, kMaxDelay), true};
}

NextStep Schedule::list(milliseconds delay, bool failed) {
  return {form_, delay, failed, form_ == What::kPagedList ? page_size_ : 0};
}

milliseconds Schedule::delay_of(int& row, const Ending& ending, milliseconds most) {
  constexpr int kMaxShift = 10;
  const milliseconds full = std::min(kFirstDelay * (1 << std::min(row, kMaxShift)), most);
  ++row;
  std::uniform_int_distribution<milliseconds::rep> spread(full.count() / 4, full.count());
  const milliseconds delay(spread(random_));
  if (!ending.retry_after) return delay;
  const auto asked = std::min<milliseconds>(*ending.retry_after, kMaxRetryAfter);
  return std::max(delay, asked + delay / 2);
}

}  // namespace nmanager::api
