// When changes of Services go into a table: a single one at once, a stream of them in shared
// commits.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>

#include "plugin/model/time.h"

namespace nmanager::reconciler {

/// External addresses whose Services have changed: so many are taken in one turn, and written
/// without waiting for others: with 40,000 Services that takes 30 to 45 ms of our time (test/bench,
/// turns).
inline constexpr std::size_t kChangesAtOnce = 256;
/// The same of the first list: nothing is written before all of it is taken.
inline constexpr std::size_t kListedAtOnce = 4'096;

/// Commits take less than a tenth of the time while changes keep coming: about a thirteenth, unless
/// a change would wait for more than a second, and a tenth in any case. Never more often than
/// kLeast are they made. One costly commit (the first list) is no reason to wait: only what the
/// last two both took is.
class Pace {
 public:
  static constexpr int kRest = 12;  // times the duration of a commit
  static constexpr int kLeastRest = 9;
  static constexpr Millis kLeast{25};
  static constexpr Millis kLongest{1'000};  // from one commit's end to the next one's

  /// A commit that lasted so long has just ended.
  void committed(TimePoint end, std::chrono::nanoseconds took);
  /// Not before this may the next change go in; nothing: at once.
  [[nodiscard]] std::optional<TimePoint> not_before() const { return not_before_; }

 private:
  std::chrono::nanoseconds last_{0};
  std::optional<TimePoint> not_before_;
};

}  // namespace nmanager::reconciler
