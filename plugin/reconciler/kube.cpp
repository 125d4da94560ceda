#include "plugin/reconciler/kube.h"

#include <algorithm>

#include "plugin/reconciler/proxy_sync.h"

namespace nmanager::reconciler {

namespace {

KubeState& kube_of(State& state, Family family) {
  return *std::ranges::find(state.kube, family, &KubeState::family);
}

/// kube-proxy has written its chains: ours have to be checked once more, after this time. The time
/// is known only if the change was observed.
void resynced(State& state, KubeState& kube, Now now, bool seen) {
  if (seen) kube.status.last_resync = now.wall;
  for (TableState& table : state.tables) {
    if (table.id.family != kube.family || table.want == Want::kLeave) continue;
    table.due = true;
    kube.resynced_at = now.mono;  // in a family without rules there is nothing to verify
  }
}

void take_content(State& state, KubeState& kube, const KubeChecksum& checksum, Now now,
                  std::vector<Action>& actions) {
  const bool was_present = kube.status.present;
  const bool was_written = was_present && !kube.status.empty;
  const bool changed = kube.checksum && *kube.checksum != checksum;
  // Removed chains may also be the end of a mode.
  if (changed || checksum.present != was_present) actions.emplace_back(AskKubeProxy{});
  if (changed && checksum.present && was_present) ++kube.status.resyncs;
  const bool looked_before = kube.checksum.has_value();
  const bool made = looked_before && !was_present && checksum.present;
  if (made && checksum.empty) kube.made_at = now.mono;
  if (!checksum.empty) kube.made_at.reset();
  kube.checksum = checksum;
  kube.status.checksum = checksum.sum;
  kube.status.present = checksum.present;
  kube.status.empty = checksum.empty;
  if (checksum.present && (changed || !was_present)) resynced(state, kube, now, looked_before);
  const std::string family(to_string(kube.family));
  // Its chains are created first and filled last.
  if (checksum.present && !checksum.empty && !was_written) {
    actions.emplace_back(LogLine{LogLine::Level::kInfo, family + ": kube-proxy has synced"});
  }
  if (!checksum.present && was_present) {
    kube.resynced_at.reset();
    actions.emplace_back(
        LogLine{LogLine::Level::kWarning,
                family + ": kube-proxy's chains are gone (no KUBE-SERVICES in nat)"});
  }
}

}  // namespace

void take_kube(State& state, const KubeLooked& looked, Now now, std::vector<Action>& actions) {
  KubeState& kube = kube_of(state, looked.family);
  kube.status.unreadable.clear();
  if (!looked.stamp.ok()) {
    const ErrorKind kind = looked.stamp.error().kind;
    if (kind != ErrorKind::kAbsent && kind != ErrorKind::kUnsupported) {
      kube.content_due = true;  // unknown: read again after a delay
      kube.content_not_before = now.mono + Millis(1000);
      kube.status.unreadable = looked.stamp.error().message;
      return;
    }
    kube.stamp.reset();
    kube.content_due = false;
    take_content(state, kube, {}, now, actions);
    return;
  }
  const bool moved = kube.stamp != *looked.stamp;
  kube.stamp = *looked.stamp;
  if (!looked.checksum) {
    kube.content_due = kube.content_due || moved;
    return;
  }
  kube.content_due = false;
  const auto cost = std::min(looked.checksum_cost, kube.content_cost);
  kube.content_cost = looked.checksum_cost;
  kube.content_not_before = now.mono + std::chrono::duration_cast<Millis>(cost * kChecksumRest);
  take_content(state, kube, *looked.checksum, now, actions);
}

void settle_resyncs(State& state, Now now) {
  settle_changes(state, now.wall);
  for (KubeState& kube : state.kube) {
    if (!kube.resynced_at) continue;
    const bool verified = std::ranges::all_of(state.tables, [&](const TableState& table) {
      if (table.id.family != kube.family || table.want == Want::kLeave) return true;
      return table.status.in_sync && table.verified_at && *table.verified_at >= *kube.resynced_at;
    });
    if (!verified) continue;
    kube.status.verified_after = now.wall;
    kube.status.verify_lag = now.mono - *kube.resynced_at;
    kube.resynced_at.reset();
  }
}

}  // namespace nmanager::reconciler
