#include "hooks/chains/sync.h"

#include <algorithm>
#include <cstdint>
#include <optional>

#include "hooks/chains/chain_table.h"
#include "hooks/chains/udp_change.h"
#include "hooks/intent/attempt.h"

namespace nmanager::chains {

namespace {

InvalidCounts invalid_counts(const ObservedTable& observed) {
  InvalidCounts counts;
  for (const auto& [name, rules] : observed.chains) {
    for (const ObservedRule& seen : rules) {
      const auto counter = seen.rule ? counter_of(name, *seen.rule) : std::nullopt;
      if (counter) counts[*counter] += seen.packets;
    }
  }
  return counts;
}

bool has_kube_jumps(const ObservedTable& observed) {
  return std::ranges::all_of(observed.hooks, [](const auto& hook) {
    return std::ranges::find(hook.second, HookRule::Kind::kKubeJump, &HookRule::kind) !=
           hook.second.end();
  });
}

/// Somebody has flushed the whole table: no rule in any hook, and our chains are there without one.
bool flushed_whole(const ChainDigests* expected, const ObservedTable& observed) {
  const auto no_rules = [](const auto& chain) { return chain.second.empty(); };
  if (!std::ranges::all_of(observed.hooks, no_rules) || observed.chains.empty()) return false;
  if (!std::ranges::all_of(observed.chains, no_rules)) return false;
  if (!observed.only_differences || expected == nullptr) return true;
  // A chain that is not shown holds what it should.
  const std::uint64_t empty = digest_of({});
  return std::ranges::all_of(expected->chains, [&](const auto& chain) {
    return chain.second == empty || observed.chains.contains(chain.first) ||
           observed.missing.contains(chain.first);
  });
}

/// Why rules in the table would have no effect; nullopt: they have, or none are wanted.
std::optional<Error> why_useless(const DesiredTable& desired, const ObservedTable& observed) {
  if (observed.inert.empty() || desired.jumps.empty()) return std::nullopt;
  return Error{ErrorKind::kUnavailable, observed.inert};
}

/// The table has the expected content, whether or not its rules have an effect.
Attempt in_place(const std::optional<Error>& useless, SyncReport& report) {
  return useless ? unreadable(report, *useless) : verified(report);
}

Attempt once(ChainBackend& backend, TableId id, const Wish& wish, const std::set<ChainName>& leave,
             const SyncOptions& options, const ChainDigests* expected, SyncReport& report) {
  auto begun = expected == nullptr ? backend.begin(id) : backend.begin_expecting(id, *expected);
  if (!begun) return unreadable(report, begun.error());
  Transaction& transaction = **begun;
  report.invalid = invalid_counts(transaction.observed());
  report.kube_drops_invalid = transaction.observed().kube_drops_invalid;
  report.kube_jumps = has_kube_jumps(transaction.observed());
  const DesiredTable desired = wish.for_plan(transaction.observed());
  const TablePlan plan = make_plan(id, desired, transaction.observed(), leave);
  const auto useless = why_useless(desired, transaction.observed());
  if (plan.empty()) return in_place(useless, report);
  if (options.spare_flushed.contains(id) && flushed_whole(expected, transaction.observed())) {
    report.flushed = true;
    report.error.reset();
    return Attempt::kDone;
  }
  report.findings = plan.findings;
  if (options.keep_plan_text) report.plan_text = to_restore_text(plan);
  auto commit = transaction.commit(plan);
  report.committed = true;
  // Behind the commit: the rules do not wait for it. One that failed may have come through.
  report.udp = udp_change(desired, transaction.observed(), plan, [&] { return wish.udp_rules(); });
  if (!commit && useless) return unreadable(report, *useless);  // which may be why
  if (!commit) return refused(report, commit.error());
  report.still_referenced = std::move(commit->still_referenced);
  return in_place(useless, report);
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
