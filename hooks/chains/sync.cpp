#include "hooks/chains/sync.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

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
/// What is left for later counts as flushed.
bool flushed_whole(const ChainDigests* expected, const ObservedTable& observed) {
  const auto no_rules = [](const auto& chain) { return chain.second.empty(); };
  if (!std::ranges::all_of(observed.hooks, no_rules) || observed.chains.empty()) return false;
  if (!std::ranges::all_of(observed.chains, no_rules)) return false;
  if (!observed.only_differences || expected == nullptr || observed.left > 0) return true;
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

class TableSync {
 public:
  TableSync(ChainBackend& backend, TableId id, const Wish& wish, const std::set<ChainName>& leave,
            const SyncOptions& options, const ChainDigests* expected, bool& untold)
      : backend_(backend),
        id_(id),
        wish_(wish),
        leave_(leave),
        options_(options),
        expected_(expected),
        untold_(untold) {}

  SyncReport run() {
    attempt(options_, report_, [this] { return once(); });
    auto& findings = report_.findings;
    std::ranges::sort(findings);
    findings.erase(std::unique(findings.begin(), findings.end()), findings.end());
    return std::move(report_);
  }

 private:
  Attempt once();
  Attempt write_part(Transaction& transaction, const DesiredTable& desired);
  Attempt part_done(const ObservedTable& observed);
  /// Commits `plan`; the report takes it along with the earlier plans of this sync.
  Result<Commit> commit(Transaction& transaction, const TablePlan& plan);

  ChainBackend& backend_;
  const TableId id_;
  const Wish& wish_;
  const std::set<ChainName>& leave_;
  const SyncOptions& options_;
  const ChainDigests* const expected_;
  bool& untold_;
  SyncReport report_;
};

Attempt TableSync::once() {
  const auto part = [this](const Differences& differences, const Wish::IsEmpty& is_empty) {
    return wish_.part(differences, is_empty, backend_.rules_at_once());
  };
  auto begun =
      expected_ == nullptr ? backend_.begin(id_) : backend_.begin_expecting(id_, *expected_, part);
  if (!begun) return unreadable(report_, begun.error());
  Transaction& transaction = **begun;
  const ObservedTable& observed = transaction.observed();
  report_.invalid = invalid_counts(observed);
  report_.kube_drops_invalid = observed.kube_drops_invalid;
  report_.kube_jumps = has_kube_jumps(observed);
  DesiredTable desired = wish_.for_plan(observed);
  if (options_.spare_flushed.contains(id_) && flushed_whole(expected_, observed)) {
    report_.flushed = true;
    report_.error.reset();
    return Attempt::kDone;
  }
  // A flush that is to be spared may be all that there is.
  if (observed.unread && options_.spare_flushed.contains(id_)) return part_done(observed);
  if (observed.left > 0) return write_part(transaction, desired);
  TablePlan plan = make_plan(id_, desired, observed, leave_);
  const auto useless = why_useless(desired, observed);
  if (plan.empty()) {
    if (std::exchange(untold_, false)) report_.udp.after = wish_.udp();
    return in_place(useless, report_);
  }
  auto done = commit(transaction, plan);
  // Behind the commit: the rules do not wait for it. One that failed may have come through.
  report_.udp = udp_change(desired, observed, plan, untold_, [&] { return wish_.udp(); });
  if (!done && useless) return unreadable(report_, *useless);  // which may be why
  if (!done) return refused(report_, done.error());
  untold_ = false;
  report_.still_referenced = std::move(done->still_referenced);
  constexpr std::size_t kManyChains = 1'000;
  if (plan.edits.size() > kManyChains) {
    using Written = std::pair<DesiredTable, TablePlan>;
    report_.unused = std::make_shared<const Written>(std::move(desired), std::move(plan));
  }
  return in_place(useless, report_);
}

Attempt TableSync::write_part(Transaction& transaction, const DesiredTable& desired) {
  const ObservedTable& observed = transaction.observed();
  const TablePlan plan = plan_part(id_, desired, observed);
  if (plan.empty()) return part_done(observed);
  const auto done = commit(transaction, plan);
  const bool all_stands = observed.only_removals_left;
  report_.udp = all_stands
                    ? udp_change(desired, observed, plan, untold_, [&] { return wish_.udp(); })
                    : udp_change_of_part(desired, observed, plan);
  if (!done) return refused(report_, done.error());
  untold_ = !all_stands;
  return part_done(observed);
}

Attempt TableSync::part_done(const ObservedTable& observed) {
  report_.left = observed.left;
  report_.error.reset();
  return Attempt::kDone;
}

Result<Commit> TableSync::commit(Transaction& transaction, const TablePlan& plan) {
  report_.findings.insert(report_.findings.end(), plan.findings.begin(), plan.findings.end());
  if (options_.keep_plan_text) report_.plan_text += to_restore_text(plan);
  report_.committed = true;
  return transaction.commit(plan);
}

}  // namespace

SyncReport sync_table(ChainBackend& backend, TableId id, const Wish& wish,
                      const std::set<ChainName>& leave, const SyncOptions& options,
                      const ChainDigests* expected, bool& untold) {
  const auto start = backend.now();
  const auto waited_before = backend.lock_waited();
  SyncReport report = TableSync(backend, id, wish, leave, options, expected, untold).run();
  report.duration = backend.now() - start;
  if (waited_before) report.lock_wait = *backend.lock_waited() - *waited_before;
  return report;
}

SyncReport sync_table(ChainBackend& backend, TableId id, const DesiredTable& desired,
                      const std::set<ChainName>& leave, const SyncOptions& options,
                      const ChainDigests* expected) {
  bool untold = false;
  return sync_table(backend, id, WholeWish(desired), leave, options, expected, untold);
}

}  // namespace nmanager::chains
