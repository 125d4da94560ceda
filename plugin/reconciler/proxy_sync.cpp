#include "plugin/reconciler/proxy_sync.h"

#include <algorithm>
#include <cstdint>
#include <utility>

namespace nmanager::reconciler {

namespace {

constexpr std::size_t kMostChanges = 16;

bool all_verified(const State& state, Family family) {
  return std::ranges::all_of(state.tables, [&](const TableState& table) {
    if (table.id.family != family || table.want == Want::kLeave) return true;
    return table.status.in_sync && !table.changed_at && table.verified_at;
  });
}

/// The change of the sync that ended at `told`: the last one until then. nullopt: none was seen
/// since the previous sync.
const ChangeSeen* change_of(const KubeState& kube, WallTime told, std::optional<WallTime> before) {
  const ChangeSeen* found = nullptr;
  for (const ChangeSeen& change : kube.changes) {
    if (change.seen <= told && (!before || change.seen > *before)) found = &change;
  }
  return found;
}

/// The delay is known only for a sync after the start of this process.
void verified(KubeStatus& kube, WallTime when) {
  kube.told_is_verified = true;
  if (kube.told_before_start) return;
  kube.told_verified = std::max(when - *kube.told_sync, WallTime::duration::zero());
}

/// Failed calls of iptables-restore since the family's last sync. A count lower than before is from
/// a new process.
void take_failures(KubeState& kube, std::optional<double> count, bool just_synced) {
  if (!count) return;
  const bool first = !kube.status.told_sync && kube.failures_before > *count;
  if (just_synced || first || *count < kube.failures_before) {
    kube.failures_before = just_synced ? *count : 0;
  }
  kube.status.restore_failures = static_cast<std::uint64_t>(*count - kube.failures_before);
}

/// A sync that was not compared yet.
void take_told(State& state, KubeState& kube, WallTime told) {
  const auto before = std::exchange(kube.status.told_sync, told);
  if (before == told) return;
  kube.status.told_before_start = told < state.started_at;
  kube.status.told_is_verified = false;
  kube.status.told_verified.reset();
  const ChangeSeen* const change = change_of(kube, told, before);
  if (change != nullptr) {
    if (change->verified) verified(kube.status, *change->verified);  // else settle_changes()
    return;
  }
  // No change was seen for it: the next check verifies it.
  for (TableState& table : state.tables) {
    if (table.id.family == kube.family) table.due = true;
  }
}

bool any_present(const State& state) {
  return std::ranges::any_of(state.kube, [](const KubeState& kube) { return kube.status.present; });
}

bool jumps_gone(const State& state) {
  return std::ranges::any_of(
      state.kube, [](const KubeState& kube) { return kube.status.present && kube.jumps_gone; });
}

bool fails(const KubeState& kube) {
  return kube.status.present && (kube.status.restore_failures > 0 || kube.stays_empty);
}

std::string failures_text(const State& state) {
  std::string text;
  for (const KubeState& kube : state.kube) {
    if (!fails(kube)) continue;
    text += (text.empty() ? "" : "; ") + std::string(to_string(kube.family));
    if (kube.status.restore_failures > 0) {
      text += " its iptables-restore has failed " + std::to_string(kube.status.restore_failures) +
              " times since " + (kube.status.told_sync ? "its last sync" : "it started");
    } else {
      text += " KUBE-SERVICES is empty, the other family's is not";
    }
  }
  return text;
}

/// Records since when a state lasts; returns true if it lasts longer than a sync.
bool lasts(bool is_so, std::optional<TimePoint>& since, TimePoint now) {
  if (!is_so) since.reset();
  if (is_so && !since) since = now;
  return since && now - *since >= kSyncTakes;
}

std::string jumps_gone_text(const State& state) {
  std::string text =
      "its KUBE-* chains exist, but no jump leads to them from PREROUTING and OUTPUT of nat: "
      "Services do not work on this node. ";
  if (state.mode.mode == ProxyMode::kIptables && state.canary.value_or(false)) {
    return text +
           "kube-proxy does not notice, since KUBE-PROXY-CANARY exists in mangle, for up to an "
           "hour "
           "(kubernetes/kubernetes#129128): restart it, or delete that chain, which makes it sync";
  }
  return text + "kube-proxy puts them back at its next full sync, within a minute as a rule";
}

}  // namespace

void take_proxy_sync(State& state, ProxySync sync) {
  for (std::size_t i = 0; i < state.kube.size(); ++i) {
    KubeState& kube = state.kube[i];
    const auto before = kube.status.told_sync;
    if (sync.last_sync[i]) take_told(state, kube, *sync.last_sync[i]);
    if (sync.metrics_read && !sync.last_sync[i]) {
      kube.status.told_sync.reset();
      kube.status.told_is_verified = false;
      kube.status.told_verified.reset();
    }
    const bool just_synced = kube.status.told_sync && kube.status.told_sync != before;
    take_failures(kube, sync.restore_failures[i], just_synced);
  }
  state.proxy_sync = std::move(sync);
}

void note_change(State& state, std::optional<Family> family, WallTime now) {
  for (KubeState& kube : state.kube) {
    if (family && kube.family != *family) continue;
    if (!kube.changes.empty() && !kube.changes.back().verified) continue;
    if (kube.changes.size() >= kMostChanges) kube.changes.erase(kube.changes.begin());
    kube.changes.push_back({now, std::nullopt});
  }
}

void settle_changes(State& state, WallTime now) {
  for (KubeState& kube : state.kube) {
    if (!all_verified(state, kube.family)) continue;
    if (!kube.changes.empty() && !kube.changes.back().verified) kube.changes.back().verified = now;
    if (kube.status.told_sync && !kube.status.told_is_verified) verified(kube.status, now);
  }
}

void note_lasting(State& state, TimePoint now) {
  const bool any_filled = std::ranges::any_of(
      state.kube, [](const KubeState& kube) { return kube.status.present && !kube.status.empty; });
  for (KubeState& kube : state.kube) {
    const bool gone = kube.status.present && kube.jumps == std::optional(false);
    const bool empty = kube.status.present && kube.status.empty && any_filled;
    kube.jumps_gone = lasts(gone, kube.jumps_gone_since, now);
    kube.stays_empty = lasts(empty, kube.empty_since, now);
  }
}

void tell_health(State& state, TimePoint now, std::vector<Action>& actions) {
  const ProxyHealth health = proxy_health(state);
  if (std::exchange(state.health_seen, health) != health) state.health_since = now;
  if (state.health_told == health || health == ProxyHealth::kNotAsked) return;
  const bool well = health == ProxyHealth::kSynced;
  if (!well && now - state.health_since < kSyncTakes) return;
  state.health_told = health;
  actions.emplace_back(LogLine{well ? LogLine::Level::kInfo : LogLine::Level::kWarning,
                               "kube-proxy: " + (well ? std::string("it answers, and has synced")
                                                      : proxy_health_text(state))});
}

ProxyHealth proxy_health(const State& state) {
  // In nftables mode it has no chains with jumps to them.
  if (state.mode.mode != ProxyMode::kNftables && jumps_gone(state)) return ProxyHealth::kJumpsGone;
  if (!state.proxy_sync) return ProxyHealth::kNotAsked;
  if (!state.proxy_sync->reachable) {
    return any_present(state) ? ProxyHealth::kDown : ProxyHealth::kNotStarted;
  }
  if (!state.proxy_sync->metrics_read) return ProxyHealth::kMetricsUnreadable;
  if (std::ranges::any_of(state.kube, fails)) return ProxyHealth::kSyncFails;
  return never_synced(state) ? ProxyHealth::kNeverSynced : ProxyHealth::kSynced;
}

bool never_synced(const State& state) {
  return state.proxy_sync && state.proxy_sync->metrics_read &&
         std::ranges::none_of(state.proxy_sync->last_sync,
                              [](const auto& time) { return time.has_value(); });
}

std::string proxy_health_text(const State& state) {
  const std::string error = state.proxy_sync ? state.proxy_sync->error : std::string();
  switch (proxy_health(state)) {
    case ProxyHealth::kNotAsked:
    case ProxyHealth::kSynced:
      return {};
    case ProxyHealth::kNotStarted:
      return "no usable answer, and none of its chains exist: it has not started yet (" + error +
             ")";
    case ProxyHealth::kDown:
      return "no usable answer while its chains exist: it is down, or listens elsewhere "
             "(" +
             error + ")";
    case ProxyHealth::kNeverSynced:
      return any_present(state) ? "it has not synced since it started; the chains are of before"
                                : "it has not synced since it started";
    case ProxyHealth::kMetricsUnreadable:
      return "it answers, but when it synced last cannot be read (" + error + ")";
    case ProxyHealth::kSyncFails:
      return failures_text(state);
    case ProxyHealth::kJumpsGone:
      return jumps_gone_text(state);
  }
  return {};
}

}  // namespace nmanager::reconciler
