#include "hooks/chains/sync.h"

#include <algorithm>
#include <cstdint>

#include "hooks/chains/udp_change.h"
#include "hooks/intent/attempt.h"

namespace nmanager::chains {

namespace {

/// Packets that the DROP rules of our chains have seen.
std::uint64_t count_drops(const ObservedTable& observed) {
  std::uint64_t packets = 0;
  for (const auto& [name, rules] : observed.chains) {
    for (const ObservedRule& seen : rules) {
      if (seen.rule && std::holds_alternative<Drop>(seen.rule->target)) packets += seen.packets;
    }
  }
  return packets;
}

bool has_kube_jumps(const ObservedTable& observed) {
  return std::ranges::all_of(observed.hooks, [](const auto& hook) {
    return std::ranges::find(hook.second, HookRule::Kind::kKubeJump, &HookRule::kind) !=
           hook.second.end();
  });
}

Attempt once(ChainBackend& backend, TableId id, const Wish& wish, const std::set<ChainName>& leave,
             const SyncOptions& options, const ChainDigests* expected, SyncReport& report) {
  auto begun = expected == nullptr ? backend.begin(id) : backend.begin_expecting(id, *expected);
  if (!begun) return unreadable(report, begun.error());
  Transaction& transaction = **begun;
  report.invalid_drops = count_drops(transaction.observed());
  report.kube_jumps = has_kube_jumps(transaction.observed());
  const DesiredTable desired = wish.for_plan(transaction.observed());
  const TablePlan plan = make_plan(id, desired, transaction.observed(), leave);
  if (plan.empty()) return verified(report);
  report.findings = plan.findings;
  if (options.keep_plan_text) report.plan_text = to_restore_text(plan);
  auto commit = transaction.commit(plan);
  report.committed = true;
  // Behind the commit: the rules do not wait for it. One that failed may have come through.
  report.udp = udp_change(desired, transaction.observed(), plan, [&] { return wish.udp_rules(); });
  if (!commit) return refused(report, commit.error());
  report.still_referenced = std::move(commit->still_referenced);
  return verified(report);
}

}  // namespace

SyncReport sync_table(ChainBackend& backend, TableId id, const Wish& wish,
                      const std::set<ChainName>& leave, const SyncOptions& options,
                      const ChainDigests* expected) {
  SyncReport report;
  const auto start = backend.now();
  const auto waited_before = backend.lock_waited();
  attempt(options, report,
          [&] { return once(backend, id, wish, leave, options, expected, report); });
  report.duration = backend.now() - start;
  if (waited_before) report.lock_wait = *backend.lock_waited() - *waited_before;
  return report;
}

SyncReport sync_table(ChainBackend& backend, TableId id, const DesiredTable& desired,
                      const std::set<ChainName>& leave, const SyncOptions& options,
                      const ChainDigests* expected) {
  return sync_table(backend, id, WholeWish(desired), leave, options, expected);
}

}  // namespace nmanager::chains
