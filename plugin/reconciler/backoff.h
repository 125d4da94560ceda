// Delays that grow during repeated failures and shrink after a quiet time.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>

#include "plugin/model/time.h"

namespace nmanager::reconciler {

/// first, 2 x first, 4 x first ... up to `cap`.
class Backoff {
 public:
  Backoff(Millis first, Millis cap) : first_(first), cap_(cap) {}

  /// The delay before the next try, after one more failure.
  Millis next();
  void reset() { failures_ = 0; }
  [[nodiscard]] int failures() const { return failures_; }

 private:
  Millis first_;
  Millis cap_;
  int failures_ = 0;
};

/// Tells an agent that keeps undoing us from one that does so now and then (kube-proxy's start
/// makes four displacements within a second). Above kBurst repairs within kWindow the table is
/// contested: the next repair waits for a quarter of the time that this has lasted, at least
/// kFirstDelay and at most kMaxDelay. So a short quarrel is over soon after its end (case T25). The
/// table is calm again after two such delays without a repair.
class Contest {
 public:
  static constexpr std::size_t kBurst = 20;
  static constexpr Millis kWindow{10'000};
  static constexpr Millis kFirstDelay{100};
  static constexpr Millis kMaxDelay{10'000};
  static constexpr int kLastedPerDelay = 4;

  void repaired(TimePoint now);
  /// Call this whenever time may have passed: ends the contest after a quiet time.
  void look(TimePoint now);
  [[nodiscard]] bool contested() const { return delay_ > Millis::zero(); }
  /// When the contest ends if nothing is repaired until then; nullopt: no contest.
  [[nodiscard]] std::optional<TimePoint> calm_at() const;
  /// The earliest time of the next repair; nullopt: at once.
  [[nodiscard]] std::optional<TimePoint> not_before() const;

 private:
  std::deque<TimePoint> repairs_;
  TimePoint began_{};  // when the table became contested
  TimePoint last_repair_{};
  Millis delay_{0};
};

}  // namespace nmanager::reconciler
