#include <doctest/doctest.h>

#include "plugin/reconciler/pace.h"

using namespace nmanager;
using namespace nmanager::reconciler;
using namespace std::chrono_literals;

TEST_CASE("after a commit the next change waits until commits take less than a tenth of the time") {
  const TimePoint start(1h);
  Pace pace;
  CHECK_FALSE(pace.not_before().has_value());
  pace.committed(start, 2s);  // the first list: what one change costs is not known yet
  CHECK(pace.not_before() == start + Pace::kLeast);
  pace.committed(start, 5ms);
  CHECK(pace.not_before() == start + 60ms);
  pace.committed(start, 500ms);
  CHECK(pace.not_before() == start + 60ms);
  pace.committed(start, 80ms);
  CHECK(pace.not_before() == start + 920ms);  // with the commit a second
  pace.committed(start, 500ms);
  CHECK(pace.not_before() == start + 920ms);
  pace.committed(start, 500ms);
  CHECK(pace.not_before() == start + 4500ms);
  pace.committed(start, 1us);
  CHECK(pace.not_before() == start + Pace::kLeast);
}
