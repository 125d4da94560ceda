// What follows after a list or a watch has ended.
#include "plugin/api/schedule.h"

#include <cstdint>

#include <doctest/doctest.h>

#include "plugin/api/line_splitter.h"

namespace nmanager::test {
using namespace nmanager::api;

using Kind = Ending::Kind;
using What = NextStep::What;

TEST_CASE("what follows each ending") {
  struct Case {
    Kind kind;
    bool progressed;
    What after_list;
    What after_watch;
    bool watch_failed;
  };
  for (const Case& c : {Case{Kind::kDone, true, What::kWatch, What::kWatch, false},
                        {Kind::kDone, false, What::kWatch, What::kWatch, false},
                        {Kind::kExpired, true, What::kList, What::kList, false},
                        {Kind::kExpired, false, What::kList, What::kList, true},
                        {Kind::kUnauthorized, false, What::kList, What::kWatch, true},
                        {Kind::kForbidden, false, What::kList, What::kWatch, true},
                        {Kind::kThrottled, false, What::kList, What::kWatch, true},
                        {Kind::kServerError, true, What::kList, What::kWatch, true},
                        {Kind::kUnreachable, true, What::kList, What::kWatch, true},
                        {Kind::kGarbled, true, What::kList, What::kList, true},
                        {Kind::kStopped, false, What::kStop, What::kStop, false}}) {
    CAPTURE(static_cast<int>(c.kind));
    Schedule schedule(1);
    Ending ending{c.kind, "", std::nullopt, c.progressed};
    CHECK(schedule.after_list(ending).what == c.after_list);
    Schedule other(1);
    const NextStep next = other.after_watch(ending);
    CHECK(next.what == c.after_watch);
    CHECK(next.failed == c.watch_failed);
    if (next.what != What::kStop) CHECK(next.delay >= Schedule::kPause);
  }
}

TEST_CASE("delays double up to the cap, jittered by half, and start over after progress") {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    Schedule schedule(seed);
    auto full = Schedule::kFirstDelay;
    for (int i = 0; i < 20; ++i) {
      const auto delay = schedule.after_list({Kind::kUnreachable, "", std::nullopt, false}).delay;
      CHECK(delay >= full / 2);
      CHECK(delay <= full);
      full = std::min<std::chrono::milliseconds>(2 * full, Schedule::kMaxDelay);
    }
    const auto after = schedule.after_watch({Kind::kUnreachable, "", std::nullopt, true}).delay;
    CHECK(after <= Schedule::kFirstDelay);
  }
}

TEST_CASE("Retry-After is kept, within bounds") {
  Schedule schedule(7);
  const auto delay = [&](int seconds) {
    return schedule.after_list({Kind::kThrottled, "", std::chrono::seconds(seconds), false}).delay;
  };
  CHECK(delay(3) >= std::chrono::seconds(3));
  CHECK(delay(100'000) <= Schedule::kMaxRetryAfter + Schedule::kMaxDelay);
}

TEST_CASE("lines, wherever a chunk ends") {
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
