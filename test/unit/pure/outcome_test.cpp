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

  std::optional<bool> kube_jumps() const { return state_.kube.front().jumps; }
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

TEST_CASE("a large change is written part by part, and told as one") {
  Looks looks;
  const auto part = [&](std::size_t left, const char* chain) {
    SyncReport report;
    report.committed = true;
    report.left = left;
    report.findings = {{Cause::kChainMissing, chain}};
    report.duration = 30ms;
    return looks.end(std::move(report));
  };
  part(20, "NMANAGER_A");
  CHECK(looks.table().due);
  CHECK_FALSE(looks.table().status.in_sync);
  CHECK(looks.table().not_before == TimePoint{});
  part(10, "NMANAGER_B");
  looks.table().verified_digest = looks.table().spec_digest;  // nothing was wanted otherwise
  looks.succeed();
  CHECK(looks.table().status.in_sync);
  CHECK(looks.table().status.repairs == 1);
  CHECK(looks.table().status.repairs_by_cause[Cause::kChainMissing] == 2);
  CHECK(looks.table().status.commit_duration.sum == doctest::Approx(0.06));
  looks.succeed();
  CHECK(looks.table().status.repairs == 1);
  SUBCASE("that another program undoes: it is tried again with growing delays") {
    part(20, "NMANAGER_A");
    for (int i = 0; i < 10; ++i) {
      part(20, "NMANAGER_A");
      REQUIRE_FALSE(looks.table().status.error.has_value());
    }
    part(21, "NMANAGER_A");
    REQUIRE(looks.table().status.error.has_value());
    CHECK(looks.table().status.error->kind == ErrorKind::kRetry);
    CHECK(looks.table().status.retry_in == 100ms);
    CHECK(looks.table().parts.findings.empty());
  }
  SUBCASE("that grows while it is written is not undone") {
    for (std::size_t i = 0; i < 30; ++i) {
      looks.table().spec_digest = 100 + i;
      part(20 + i, "NMANAGER_A");
    }
    CHECK_FALSE(looks.table().status.error.has_value());
  }
  SUBCASE("of our own is no repair, even if all is as before in the end") {
    const std::uint64_t before = looks.table().spec_digest;
    looks.table().spec_digest = 7;
    part(20, "NMANAGER_A");
    looks.table().spec_digest = before;
    part(10, "NMANAGER_A");
    looks.succeed();
    CHECK(looks.table().status.repairs == 1);
  }
}

TEST_CASE("a table that waits for a large one is due, and what is known of it stays") {
  for (const bool works : {false, true}) {
    Looks looks;
    if (works) {
      looks.succeed();
    } else {
      looks.fail("no");
    }
    looks.table().due = false;
    looks.table().check_due = true;
    const TableStatus before = looks.table().status;
    SyncReport report;
    report.waits = true;
    CHECK(looks.end(std::move(report)).empty());
    CHECK(looks.table().due);
    CHECK(looks.table().status.in_sync == works);
    CHECK(looks.table().status.error.has_value() == !works);
    CHECK(looks.table().status.verifications == before.verifications);
    CHECK(looks.table().status.failures == before.failures);
    // What is kept was looked at all the same.
    CHECK(looks.table().check_due);
    SyncReport end;
    end.waits = end.check_ended = true;
    looks.end(std::move(end));
    CHECK_FALSE(looks.table().check_due);
  }
}

TEST_CASE("parts that write nothing are neither a repair nor a commit") {
  Looks looks;
  const auto prepared = [&](std::size_t left) {
    SyncReport report;
    report.left = left;
    return looks.end(std::move(report));
  };
  SUBCASE("at first") {
    prepared(20);
  }
  SUBCASE("of what stood before") {
    looks.succeed();
    prepared(20);
  }
  CHECK_FALSE(looks.table().status.in_sync);
  CHECK(count<LogLine>(prepared(10)) == 0);
  CHECK(count<LogLine>(looks.succeed()) == 0);
  CHECK(looks.table().status.in_sync);
  CHECK(looks.table().status.repairs == 0);
  CHECK(looks.table().status.syncs == 0);
  CHECK(looks.table().status.commit_duration.sum == 0);
}

TEST_CASE("what was seen of kube-proxy's jumps stays while a change is only prepared") {
  Looks looks;
  const auto end = [&](std::optional<bool> jumps, std::optional<std::size_t> left) {
    SyncReport report;
    report.verified = !left;
    report.left = left;
    report.kube_jumps = jumps;
    looks.end(std::move(report));
    return looks.kube_jumps();
  };
  CHECK(end(true, std::nullopt) == std::optional(true));
  CHECK(end(std::nullopt, 10) == std::optional(true));
  CHECK(end(false, 5) == std::optional(false));
  CHECK(end(std::nullopt, std::nullopt) == std::nullopt);
}

TEST_CASE("UDP flows are deleted only if a commit changed their rules") {
  UdpChange change;
  change.after.rules.emplace();
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
