#include "plugin/reconciler/pace.h"

#include <algorithm>

namespace nmanager::reconciler {

void Pace::committed(TimePoint end, std::chrono::nanoseconds took) {
  const auto rest = std::max<std::chrono::nanoseconds>(std::min(took, last_) * kRest, kLeast);
  last_ = took;
  not_before_ = end + std::chrono::ceil<TimePoint::duration>(rest);
}

}  // namespace nmanager::reconciler
