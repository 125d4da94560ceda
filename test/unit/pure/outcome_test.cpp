// The effect of a finished sync of a table on its state, the actions and the log.
#include "plugin/reconciler/outcome.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <variant>

#include "plugin/reconciler/step.h"
#include "test/support/tables.h"

namespace nmanager::reconciler {
namespace {

using namespace std::chrono_literals;
using test::kNat4;

/// One table in a new state, with a series of finished syncs.
class Looks {
 public:
  Looks() : state_(initial_state(Settings{}, now_)) { table().want = Want::kRules; }

  TableState& table() { return *std::ranges::find(state_.tables, kNat4, &TableState::id); }

  std::vector<Action> end(SyncReport report) {
    std::vector<Action> actions;
    now_.mono += 1s;
    now_.wall += 1s;
    take_outcome(state_, {kNat4, std::move(report)}, now_, actions);
    return actions;
  }
  std::vector<Action> fail(const char* message) {
    SyncReport report;
    report.error = Error{ErrorKind::kUnavailable, message};
    return end(std::move(report));
  }
  std::vector<Action> succeed() {
    SyncReport report;
    report.verified = true;
    return end(std::move(report));
  }

 private:
  Now now_;
  State state_;
};

template <class T>
std::size_t count(const std::vector<Action>& actions) {
  return static_cast<std::size_t>(std::ranges::count_if(
      actions, [](const Action& action) { return std::holds_alternative<T>(action); }));
}

}  // namespace

TEST_CASE("a failing table is retried with growing delays, which a success resets") {
  Looks looks;
  for (const Millis delay : {100ms, 200ms, 400ms}) {
    looks.fail("no");
    CHECK(looks.table().status.retry_in == delay);
    CHECK(looks.table().due);
  }
  looks.succeed();
  looks.fail("no");
  CHECK(looks.table().status.retry_in == 100ms);
}

TEST_CASE("an error is logged when it begins, when it changes and when it is over") {
  Looks looks;
  CHECK(count<LogLine>(looks.fail("one")) == 1);
  CHECK(count<LogLine>(looks.fail("one")) == 0);
  CHECK(count<LogLine>(looks.fail("two")) == 1);
  CHECK(looks.table().status.failures == 3);
  CHECK(count<LogLine>(looks.succeed()) == 1);
  CHECK(count<LogLine>(looks.succeed()) == 0);
}

TEST_CASE("UDP flows are deleted only if a commit changed their rules") {
  UdpChange change;
  change.after.emplace();
  for (const bool committed : {false, true}) {
    for (const bool changed : {false, true}) {
      SyncReport report;
      report.verified = true;
      report.committed = committed;
      if (changed) report.udp = change;
      Looks looks;
      CHECK(count<ForgetUdpFlows>(looks.end(report)) == (committed && changed ? 1 : 0));
    }
  }
}

}  // namespace nmanager::reconciler
