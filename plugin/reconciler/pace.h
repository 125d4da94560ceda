// When changes of Services go into a table: a single one at once, a stream of them in shared
// commits.
#pragma once

#include <chrono>
#include <optional>

#include "plugin/model/time.h"

namespace nmanager::reconciler {

/// Commits take at most a tenth of the time while changes keep coming, so a change waits for as
/// long as ten commits take, and never less often than kLeast are they shared. One costly commit
/// (the first list) is no reason to wait: only what the last two both took is.
class Pace {
 public:
  static constexpr int kRest = 9;  // times the duration of a commit
  static constexpr Millis kLeast{25};

  /// A commit that lasted so long has just ended.
  void committed(TimePoint end, std::chrono::nanoseconds took);
  /// Not before this may the next change go in; nothing: at once.
  [[nodiscard]] std::optional<TimePoint> not_before() const { return not_before_; }

 private:
  std::chrono::nanoseconds last_{0};
  std::optional<TimePoint> not_before_;
};

}  // namespace nmanager::reconciler
