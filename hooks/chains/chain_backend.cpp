#include "hooks/chains/chain_backend.h"

#include <utility>

#include "hooks/chains/chain_table.h"
#include "hooks/chains/rule_text.h"
#include "hooks/chains/sync.h"

namespace nmanager::chains {

namespace {

/// The content of a table that does not exist: nothing.
Result<ObservedTable> observe(ChainBackend& backend, TableId id) {
  auto begun = backend.begin(id);
  if (begun) return (*begun)->observed();
  if (begun.error().kind == ErrorKind::kAbsent) return ObservedTable{};
  return begun.error();
}

}  // namespace

const ChainBackend::Rendered& ChainBackend::render(const Goal& goal) {
  Rendered& kept = rendered_[goal.id];
  if (kept.of == goal.spec) return kept;
  kept.of = goal.spec;
  kept.table = chain_table(goal.id.family, *goal.spec);
  if (goal.id.table == Table::kNat) kept.digests = digests_of(kept.table);
  kept.rules = rule_count(kept.table);
  return kept;
}

std::vector<SyncReport> ChainBackend::sync(std::span<const Goal> goals,
                                           const SyncOptions& options) {
  std::vector<SyncReport> reports;
  const auto start = now();
  const auto waited_before = lock_waited();
  const auto held = hold(goals);
  const auto took = now() - start;
  const auto waited_for_all = lock_waited();
  for (const Goal& goal : goals) {
    const Rendered& rendered = render(goal);
    // nat can hold thousands of chains; filter is small, and its counters are wanted.
    const ChainDigests* expected = goal.id.table == Table::kNat ? &rendered.digests : nullptr;
    SyncReport report =
        sync_table(*this, goal.id, rendered.table, leave_[goal.id], options, expected);
    if (report.committed && report.verified) leave_[goal.id] = report.still_referenced;
    report.rules = rendered.rules;
    reports.push_back(std::move(report));
  }
  // The common wait is in the first report only, so that sums over reports are correct.
  if (!reports.empty()) {
    reports.front().duration += took;
    if (reports.front().lock_wait) *reports.front().lock_wait += *waited_for_all - *waited_before;
  }
  return reports;
}

PlanText ChainBackend::plan_text(std::span<const Goal> goals) {
  PlanText result;
  const auto held = hold(goals);
  for (const Goal& goal : goals) {
    const auto observed = observe(*this, goal.id);
    if (!observed) {
      result.problems.push_back(to_string(goal.id) + ": " + observed.error().message);
      continue;
    }
    const TablePlan plan = make_plan(goal.id, render(goal).table, *observed);
    if (plan.empty()) continue;
    result.text += "# " + to_string(goal.id) + ", for " +
                   std::string(iptables_command(goal.id.family)) + "-restore --noflush\n" +
                   to_restore_text(plan);
  }
  return result;
}

}  // namespace nmanager::chains
