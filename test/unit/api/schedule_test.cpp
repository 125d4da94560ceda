// The next step after a list or a watch has ended.
#include "plugin/api/schedule.h"

#include <cstdint>

#include <doctest/doctest.h>

#include <map>

#include "plugin/api/line_splitter.h"

namespace nmanager::test {
using namespace nmanager::api;

using EndingKind = Ending::Kind;
using What = NextStep::What;
using std::chrono::milliseconds;

namespace {

Ending ending_of(EndingKind kind, bool progressed = false, milliseconds lasted = {}) {
  Ending ending;
  ending.kind = kind;
  ending.progressed = progressed;
  ending.lasted = lasted;
  return ending;
}

}  // namespace

TEST_CASE("the next step after each ending of a watch") {
  struct Case {
    EndingKind kind;
    bool progressed;
    What next;
    bool failed;
  };
  for (const Case& c : {Case{EndingKind::kDone, true, What::kWatch, false},
                        {EndingKind::kDone, false, What::kWatch, false},
                        {EndingKind::kExpired, true, What::kStreamList, false},
                        {EndingKind::kExpired, false, What::kStreamList, true},
                        {EndingKind::kTooLarge, false, What::kStreamList, true},
                        {EndingKind::kUnauthorized, false, What::kStreamList, true},
                        {EndingKind::kForbidden, false, What::kStreamList, true},
                        {EndingKind::kThrottled, false, What::kWatch, true},
                        {EndingKind::kRefused, true, What::kStreamList, true},
                        {EndingKind::kUnreachable, true, What::kWatch, true},
                        {EndingKind::kLost, true, What::kWatch, true},
                        {EndingKind::kSilent, true, What::kStreamList, true},
                        {EndingKind::kGarbled, true, What::kStreamList, true},
                        {EndingKind::kTooMuch, true, What::kStreamList, true},
                        {EndingKind::kStopped, false, What::kStop, false}}) {
    CAPTURE(std::string(name_of(c.kind)));
    for (const What what : {What::kWatch, What::kFollow}) {
      Schedule schedule(1);
      const NextStep next = schedule.after(what, ending_of(c.kind, c.progressed));
      CHECK(next.what == c.next);
      CHECK(next.failed == c.failed);
      if (next.what != What::kStop) CHECK(next.delay >= Schedule::kFirstDelay / 4);
    }
  }
}

TEST_CASE("a streaming list, then its watch; else a list from the cache; finally pages") {
  Schedule schedule(1);
  NextStep next = schedule.first();
  CHECK(next.what == What::kStreamList);
  CHECK(next.delay == milliseconds(0));
  CHECK(schedule.after(next.what, ending_of(EndingKind::kDone)).what == What::kFollow);

  next = schedule.after(What::kStreamList, ending_of(EndingKind::kUnsupported));
  CHECK(next.what == What::kCachedList);  // at once, and not an error
  CHECK(next.delay == milliseconds(0));
  CHECK_FALSE(next.failed);
  CHECK(schedule.after(next.what, ending_of(EndingKind::kDone)).what == What::kWatch);
  CHECK(schedule.after(What::kWatch, ending_of(EndingKind::kGarbled)).what == What::kCachedList);

  CHECK(schedule.after(What::kCachedList, ending_of(EndingKind::kRefused)).what ==
        What::kCachedList);
  next = schedule.after(What::kCachedList, ending_of(EndingKind::kRefused));
  CHECK(next.what == What::kPagedList);
  CHECK(next.page_size == Schedule::kPageSize);
  CHECK(schedule.after(What::kPagedList, ending_of(EndingKind::kDone)).what == What::kWatch);
  CHECK(schedule.after(What::kWatch, ending_of(EndingKind::kGarbled)).what == What::kCachedList);
}

TEST_CASE("if lists are forbidden or the server is unreachable, no other form is tried") {
  for (const EndingKind kind : {EndingKind::kUnauthorized, EndingKind::kThrottled,
                                EndingKind::kUnreachable, EndingKind::kLost}) {
    Schedule schedule(1);
    for (int i = 0; i < 10; ++i) {
      CHECK(schedule.after(What::kStreamList, ending_of(kind)).what == What::kStreamList);
    }
  }
}

TEST_CASE("lists allowed, watches forbidden: no streaming list, and lists continue") {
  Schedule schedule(1);
  for (int i = 0; i < 5; ++i) {
    const NextStep next = schedule.after(What::kStreamList, ending_of(EndingKind::kForbidden));
    CHECK(next.what == What::kCachedList);
    CHECK(next.failed);
    CHECK(schedule.after(next.what, ending_of(EndingKind::kDone)).what == What::kWatch);
    CHECK(schedule.after(What::kWatch, ending_of(EndingKind::kForbidden)).what ==
          What::kStreamList);
  }
  // If both are forbidden, no further form is tried.
  NextStep next = schedule.after(What::kStreamList, ending_of(EndingKind::kForbidden));
  for (int i = 0; i < 5; ++i) next = schedule.after(next.what, ending_of(EndingKind::kForbidden));
  CHECK(next.what == What::kCachedList);
}

TEST_CASE("a second page that is too old: one whole list") {
  Schedule schedule(1);
  CHECK(schedule.after(What::kPagedList, ending_of(EndingKind::kExpired, true)).what ==
        What::kWholeList);
  CHECK(schedule.after(What::kWholeList, ending_of(EndingKind::kDone)).what == What::kWatch);
}

TEST_CASE("pages get smaller if objects are large") {
  Schedule schedule(1);
  (void)schedule.after(What::kStreamList, ending_of(EndingKind::kUnsupported));
  NextStep next = schedule.after(What::kCachedList, ending_of(EndingKind::kTooMuch));
  CHECK(next.page_size == 500);
  next = schedule.after(next.what, ending_of(EndingKind::kTooMuch));
  CHECK(next.page_size == 50);
  next = schedule.after(next.what, ending_of(EndingKind::kTooMuch));
  CHECK(next.page_size == 5);
  CHECK(schedule.after(next.what, ending_of(EndingKind::kDone)).what == What::kWatch);
  next = schedule.after(What::kWatch, ending_of(EndingKind::kGarbled));
  CHECK(next.what == What::kPagedList);  // the cached one would be too large again
  CHECK(next.page_size == 5);
}

TEST_CASE("delays double up to the cap with jitter; a complete list ends the series") {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    Schedule schedule(seed);
    auto full = Schedule::kFirstDelay;
    for (int i = 0; i < 9; ++i) {
      const auto delay =
          schedule.after(What::kStreamList, ending_of(EndingKind::kUnreachable)).delay;
      CHECK(delay >= full / 4);
      CHECK(delay <= full);
      full = std::min<milliseconds>(2 * full, Schedule::kMaxDelay);
    }
    (void)schedule.after(What::kStreamList, ending_of(EndingKind::kDone));
    CHECK(schedule.after(What::kFollow, ending_of(EndingKind::kLost)).delay <=
          Schedule::kFirstDelay);
  }
}

TEST_CASE("lists have growing delays however many events each watch has") {
  for (const EndingKind kind :
       {EndingKind::kGarbled, EndingKind::kExpired, EndingKind::kRefused, EndingKind::kSilent}) {
    Schedule schedule(3);
    milliseconds waited{0};
    constexpr int kRounds = 30;
    for (int i = 0; i < kRounds; ++i) {
      waited += schedule.after(What::kFollow, ending_of(kind, true, milliseconds(500))).delay;
      CHECK(schedule.after(What::kStreamList, ending_of(EndingKind::kDone)).what == What::kFollow);
    }
    CHECK(waited >= (kRounds - 6) * Schedule::kMaxDelay / 4);
    // A watch that lasts starts a new series, unless it was silent.
    const auto next =
        schedule.after(What::kFollow, ending_of(kind, true, Schedule::kSettled)).delay;
    CHECK((next <= Schedule::kFirstDelay) == (kind != EndingKind::kSilent));
  }
}

TEST_CASE("a server that ends every watch at once gets requests with growing delays") {
  Schedule schedule(3);
  milliseconds last{0};
  for (int i = 0; i < 10; ++i) {
    last = schedule.after(What::kWatch, ending_of(EndingKind::kDone, true)).delay;
  }
  CHECK(last >= Schedule::kMaxPause / 4);
  CHECK(last <= Schedule::kMaxPause);
}

TEST_CASE("nodes that lost their server at the same time return at different times") {
  constexpr int kNodes = 5'000;
  constexpr auto kDown = std::chrono::seconds(60);
  std::map<std::int64_t, int> by_second;
  for (int node = 0; node < kNodes; ++node) {
    Schedule schedule(static_cast<std::uint64_t>(node));
    milliseconds at = schedule.after(What::kFollow, ending_of(EndingKind::kLost)).delay;
    while (at < kDown)
      at += schedule.after(What::kWatch, ending_of(EndingKind::kUnreachable)).delay;
    ++by_second[at / std::chrono::seconds(1)];
  }
  for (const auto& one : by_second) {
    CAPTURE(one.first);  // the second
    CHECK(one.second <= kNodes / 10);
  }
}

TEST_CASE("Retry-After is honoured within bounds") {
  Schedule schedule(7);
  const auto delay = [&](int seconds) {
    Ending ending = ending_of(EndingKind::kThrottled);
    ending.retry_after = std::chrono::seconds(seconds);
    return schedule.after(What::kStreamList, ending).delay;
  };
  CHECK(delay(3) >= std::chrono::seconds(3));
  CHECK(delay(100'000) <= Schedule::kMaxRetryAfter + Schedule::kMaxDelay);
}

TEST_CASE("lines are split correctly wherever a chunk ends") {
  const std::string text = "one\r\ntwo\n\n\xc3\xa4\n";
  for (std::size_t size = 1; size <= text.size(); ++size) {
    CAPTURE(size);
    LineSplitter splitter;
    std::vector<std::string> lines;
    for (std::size_t at = 0; at < text.size(); at += size) {
      REQUIRE(splitter.add(std::string_view(text).substr(at, size), lines));
    }
    CHECK(lines == std::vector<std::string>{"one", "two", "\xc3\xa4"});
    CHECK_FALSE(splitter.partial());
  }
  LineSplitter splitter;
  std::vector<std::string> lines;
  const std::string half(LineSplitter::kMaxLine / 2, 'x');
  CHECK(splitter.add(half, lines));
  CHECK(splitter.partial());
  CHECK(splitter.add(half, lines));
  CHECK_FALSE(splitter.add("x", lines));
}

}  // namespace nmanager::test
