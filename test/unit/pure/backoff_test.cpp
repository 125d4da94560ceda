#include <doctest/doctest.h>

#include <algorithm>

#include "plugin/reconciler/backoff.h"

namespace nmanager::reconciler {
namespace {

using namespace std::chrono_literals;

/// An agent that undoes our rules every 5 ms for `lasting`: the time from its end to the final
/// repair, and the number of repairs.
struct Quarrel {
  Millis late{};
  int repairs = 0;
};

Quarrel quarrel(Contest& contest, TimePoint begin, Millis lasting) {
  Quarrel result;
  for (TimePoint now = begin;; now += 5ms) {
    contest.look(now);
    if (const auto wait = contest.not_before(); wait && now < *wait) continue;
    contest.repaired(now);
    ++result.repairs;
    if (now < begin + lasting) continue;
    result.late = std::chrono::duration_cast<Millis>(now - begin - lasting);
    return result;
  }
}

}  // namespace

TEST_CASE("a conflict is over within a quarter of its duration, with few repairs") {
  for (const Millis lasting : {200ms, 500ms, 2'500ms, 8'000ms, 40'000ms, 600'000ms}) {
    CAPTURE(lasting.count());
    Contest contest;
    const Quarrel result = quarrel(contest, TimePoint{} + 1h, lasting);
    CHECK(result.late <= std::clamp(lasting / 4, 100ms, Contest::kMaxDelay) + 5ms);
    CHECK(result.repairs < 50 + lasting / Contest::kMaxDelay);
    CHECK(contest.contested());
  }
}

TEST_CASE("single repairs before a quarrel do not count as part of it") {
  Contest contest;
  const TimePoint start = TimePoint{} + 1h;
  for (int i = 0; i < 15; ++i) contest.repaired(start + i * 600ms);
  CHECK_FALSE(contest.contested());
  CHECK(quarrel(contest, start + 9s, 2'500ms).late <= 630ms);
}

TEST_CASE("after a quiet time the next quarrel counts from the start again") {
  Contest contest;
  TimePoint now = TimePoint{} + 1h;
  quarrel(contest, now, 40'000ms);
  now += 40s + 2 * Contest::kMaxDelay + 2 * Contest::kMaxDelay;
  contest.look(now);
  CHECK_FALSE(contest.contested());
  CHECK(quarrel(contest, now, 2'500ms).late <= 630ms);
}

}  // namespace nmanager::reconciler
