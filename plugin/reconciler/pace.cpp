#include "plugin/reconciler/pace.h"

#include <algorithm>

namespace nmanager::reconciler {

void Pace::committed(TimePoint end, std::chrono::nanoseconds took) {
  using std::chrono::nanoseconds;
  const nanoseconds usual = std::min(took, last_);
  const nanoseconds wanted = std::min<nanoseconds>(usual * kRest, kLongest - usual);
  const nanoseconds rest = std::max<nanoseconds>({wanted, usual * kLeastRest, kLeast});
  last_ = took;
  not_before_ = end + std::chrono::ceil<TimePoint::duration>(rest);
}

}  // namespace nmanager::reconciler
