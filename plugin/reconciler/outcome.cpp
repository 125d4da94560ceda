#include "plugin/reconciler/outcome.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <iterator>
#include <utility>

#include "plugin/reconciler/flows.h"
#include "plugin/reconciler/kube.h"

namespace nmanager::reconciler {

namespace {

std::string in_ms(std::chrono::nanoseconds duration) {
  char buffer[32];
  const double ms = std::chrono::duration<double, std::milli>(duration).count();
  const int size = std::snprintf(buffer, sizeof buffer, "%.2f ms", ms);
  return {buffer, static_cast<std::size_t>(std::max(size, 0))};
}

std::string in_words(const std::vector<Finding>& findings) {
  constexpr std::size_t kMostShown = 6;
  std::string text;
  for (std::size_t i = 0; i < findings.size() && i < kMostShown; ++i) {
    if (i > 0) text += ", ";
    text += std::string(to_string(findings[i].cause)) + " in " + findings[i].where;
  }
  if (findings.size() > kMostShown) {
    text += " and " + std::to_string(findings.size() - kMostShown) + " more";
  }
  return text;
}

/// The kernel's counters start again when their rules are rewritten; ours only grow.
void count_invalid(TableState& table, const InvalidCounts& seen) {
  for (const auto& [counter, packets] : seen) {
    const std::uint64_t before = table.invalid_seen[counter];
    table.status.invalid[counter] += packets >= before ? packets - before : packets;
  }
  table.invalid_seen = seen;
}

/// Jumps do not depend on Services: if a hook led to rules and still has to, a wrong jump was
/// caused by another program, whatever else the commit changed.
bool is_damage(const TableState& table, const Finding& finding) {
  switch (finding.cause) {
    case Cause::kJumpMissing:
    case Cause::kJumpDisplaced:
    case Cause::kJumpDuplicated:
    case Cause::kJumpAltered:
      return std::ranges::any_of(table.held_hooks,
                                 [&](Hook hook) { return to_string(hook) == finding.where; });
    case Cause::kTableAltered:
      return !table.held_hooks.empty();
    default:
      return false;
  }
}

/// Of the findings that the commit repaired, those caused by other programs.
std::vector<Finding> damages_of(const TableState& table, const SyncReport& report) {
  if (table.verified_digest == table.spec_digest) return report.findings;
  std::vector<Finding> damages;
  if (table.want != Want::kRules) return damages;
  std::ranges::copy_if(report.findings, std::back_inserter(damages),
                       [&](const Finding& finding) { return is_damage(table, finding); });
  return damages;
}

void take_repair(TableState& table, const SyncReport& report, const std::vector<Finding>& damages,
                 Now now, std::vector<Action>& actions) {
  const auto latency = table.changed_at ? now.mono - *table.changed_at : report.duration;
  ++table.status.repairs;
  for (const Finding& finding : damages) ++table.status.repairs_by_cause[finding.cause];
  table.status.repair_latency.observe(latency);
  table.contest.repaired(now.mono);
  table.status.rival = table.changed_by;
  const std::string by = table.changed_by.empty() ? "" : " (changed by " + table.changed_by + ")";
  actions.emplace_back(LogLine{
      LogLine::Level::kWarning,
      to_string(table.id) + ": repaired after " + in_ms(latency) + ": " + in_words(damages) + by});
}

void take_sync(TableState& table, const SyncReport& report, std::vector<Action>& actions) {
  ++table.status.syncs;
  const std::string rules = std::to_string(table.status.rules) + " rules";
  actions.emplace_back(LogLine{
      LogLine::Level::kInfo,
      to_string(table.id) + ": now holds " + rules + ", written in " + in_ms(report.duration)});
}

void tell_end_of_error(TableState& table, std::vector<Action>& actions) {
  if (table.status.error) {
    actions.emplace_back(LogLine{LogLine::Level::kInfo, to_string(table.id) + ": works again"});
  }
  table.status.error.reset();
  table.status.retry_in = {};
}

/// `last_commit`: of what `report` tells, the duration of the last part.
void take_success(State& state, TableState& table, const SyncReport& report,
                  std::chrono::nanoseconds last_commit, Now now, std::vector<Action>& actions) {
  table.status.rules = report.rules;
  if (report.committed) {
    table.status.commit_duration.observe(report.duration);
    const auto waited = report.lock_wait.value_or(std::chrono::nanoseconds(0));
    table.pace.committed(now.mono, last_commit - waited);
    forget_flows(state, table.id.family, report.udp, actions);
    const std::vector<Finding> damages = damages_of(table, report);
    const bool repaired = table.verified_digest == table.spec_digest || !damages.empty();
    if (repaired) take_repair(table, report, damages, now, actions);
    if (table.verified_digest != table.spec_digest) take_sync(table, report, actions);
    for (const std::string& thing : report.held) {
      if (std::ranges::find(table.status.held, thing) != table.status.held.end()) continue;
      actions.emplace_back(LogLine{LogLine::Level::kWarning,
                                   to_string(table.id) + ": " + thing +
                                       " of another program could not be removed from our table"});
    }
    for (const ChainName& chain : report.still_referenced) {
      actions.emplace_back(
          LogLine{LogLine::Level::kWarning,
                  to_string(table.id) + ": chain " + chain.str() +
                      " was emptied but not deleted: a rule of another program jumps to it"});
    }
  }
  table.status.held = report.held;
  tell_end_of_error(table, actions);
  table.verified_digest = table.spec_digest;
  table.held_hooks = table.spec_hooks;
  table.verified_at = now.mono;
  table.changed_at.reset();
  table.changed_by.clear();
  table.not_before = {};
  table.failures.reset();
  table.flushed_at.reset();
  table.status.flushed = false;
  table.status.in_sync = true;
  table.status.verified_at = now.wall;
  table.status.note.clear();
  ++table.status.verifications;
  count_invalid(table, report.invalid);
  settle_resyncs(state, now);
}

/// A table that does not exist and is not needed: it has nothing of ours.
bool is_fine_without(const State& state, const TableState& table, const Error& error) {
  const bool missing = error.kind == ErrorKind::kAbsent || error.kind == ErrorKind::kUnsupported;
  if (!missing) return false;
  if (table.want == Want::kNothing) return true;
  const FamilyChoice choice = state.settings.ip_family.value;
  return table.id.family == Family::kIpv6 && choice == FamilyChoice::kAuto &&
         !state.settings.pod_cidr_ipv6.value;
}

/// Not a failure: the repair follows after the delay.
void take_flush(TableState& table, Now now) {
  if (!table.flushed_at) table.flushed_at = now.mono;
  if (!table.changed_at) table.changed_at = now.mono;
  table.due = true;
  table.not_before = *table.flushed_at + kFlushWindow;
  table.status.flushed = true;
  table.status.in_sync = false;
}

void take_failure(State& state, TableState& table, const Error& error, Now now,
                  std::vector<Action>& actions) {
  const auto delay = table.failures.next();
  table.due = true;
  table.not_before = now.mono + delay;
  if (is_fine_without(state, table, error)) {
    table.status.wanted = false;
    table.status.in_sync = true;
    table.status.note = error.message;
    table.status.error.reset();
    table.verified_at = now.mono;
    table.changed_at.reset();
    settle_resyncs(state, now);
    return;
  }
  ++table.status.failures;
  table.status.wanted = table.want == Want::kRules;
  table.status.in_sync = false;
  table.status.retry_in = delay;
  if (!table.status.error || table.status.error->message != error.message) {
    actions.emplace_back(LogLine{LogLine::Level::kError,
                                 to_string(table.id) + ": " + error.message + "; retried in " +
                                     std::to_string(delay.count()) + " ms"});
  }
  table.status.error = error;
}

/// The next part follows at once, unless another program undoes them as fast.
void take_part(State& state, TableState& table, const SyncReport& report, Now now,
               std::vector<Action>& actions) {
  constexpr int kMostUndone = 10;
  Parts& parts = table.parts;
  const bool goes_on = parts.left && parts.spec_digest == table.spec_digest;
  parts.undone = goes_on ? parts.undone + (*report.left >= *parts.left ? 1 : 0) : 0;
  parts.left = report.left;
  parts.spec_digest = table.spec_digest;
  parts.committed = parts.committed || report.committed;
  parts.findings.insert(report.findings.begin(), report.findings.end());
  parts.duration += report.duration;
  // It may be mixed now.
  if (table.verified_digest != table.spec_digest) table.verified_digest.reset();
  forget_flows(state, table.id.family, report.udp, actions);
  if (parts.undone > kMostUndone) {
    parts = {};
    const Error error{ErrorKind::kRetry, "rules are deleted as fast as they are written"};
    take_failure(state, table, error, now, actions);
    return;
  }
  tell_end_of_error(table, actions);
  table.due = true;
  table.not_before = {};
  table.status.in_sync = false;
}

/// What the last part ends is told as one.
SyncReport with_parts(const Parts& parts, SyncReport report) {
  if (!parts.left) return report;
  report.committed = report.committed || parts.committed;
  report.findings.insert(report.findings.end(), parts.findings.begin(), parts.findings.end());
  report.duration += parts.duration;
  return report;
}

}  // namespace

void take_outcome(State& state, const TableSynced& synced, Now now, std::vector<Action>& actions) {
  TableState& table = *std::ranges::find(state.tables, synced.id, &TableState::id);
  const SyncReport& report = synced.report;
  if (!report.plan_text.empty()) {
    actions.emplace_back(
        LogLine{LogLine::Level::kDebug, to_string(table.id) + " plan:\n" + report.plan_text});
  }
  const bool goes_on = report.verified || report.left || report.waits;
  if (report.check_ended || !goes_on) table.check_due = false;
  if (report.mismatch) {
    ++state.mismatches;
    actions.emplace_back(LogLine{LogLine::Level::kError,
                                 to_string(table.id) +
                                     ": its kept rules differed from what the Services mean; "
                                     "computed again"});
  }
  if (report.waits) {
    table.due = true;
    return;
  }
  KubeState& kube = *std::ranges::find(state.kube, table.id.family, &KubeState::family);
  if (table.id.table == Table::kNat) {
    // Chains are removed after their jumps: whether they were is read now, without a bound in time.
    if (kube.jumps == std::optional(true) && report.kube_jumps == std::optional(false)) {
      kube.content_due = true;
      kube.content_not_before = now.mono;
    }
    if (report.kube_jumps || !report.left) kube.jumps = report.kube_jumps;  // it was read
  } else {
    kube.drops_invalid = report.kube_drops_invalid;
  }
  if (report.lock_wait) table.status.lock_wait.observe(*report.lock_wait);
  if (report.left) return take_part(state, table, report, now, actions);
  const Parts parts = std::exchange(table.parts, {});
  if (report.verified) {
    take_success(state, table, with_parts(parts, report), report.duration, now, actions);
  } else if (report.flushed) {
    take_flush(table, now);
  } else {
    take_failure(state, table, *report.error, now, actions);
  }
}

}  // namespace nmanager::reconciler
