#include "plugin/reconciler/publish.h"

#include <algorithm>
#include <cstdint>

#include "plugin/reconciler/cures.h"
#include "plugin/reconciler/drops.h"
#include "plugin/reconciler/proxy_sync.h"
#include "plugin/reconciler/wants.h"
#include "plugin/reconciler/warnings.h"

namespace nmanager::reconciler {

namespace {

std::string seconds_ago(WallTime then, WallTime now) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now - then).count();
  return std::to_string(std::max<std::int64_t>(seconds, 0)) + " s ago";
}

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(), [](char c) {
    if (c == ' ') return '-';
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return text;
}

/// Verified since the last change that was seen in it.
bool in_sync(const TableState& table) {
  return table.status.in_sync && !table.changed_at;
}

/// Only one nmanager may write in a network namespace.
Check instance_check(const State& state) {
  return {"only-instance", false, false, state.other_nmanager + " keeps the rules of this node"};
}

Check services_check(const State& state) {
  Check check{"services-listed", state.store.listed(), false, {}};
  if (!services_wanted(state)) {
    check.ok = true;
    check.detail = "not needed: " + why_no_services(state);
    return check;
  }
  const std::string waiting =
      state.backlog.empty() ? "" : "; changes waiting: " + std::to_string(state.backlog.size());
  check.detail = check.ok
                     ? std::to_string(state.store.size()) + " Services" + waiting
                     : "the first list of Services is not complete: " +
                           (state.api.last_error.empty() ? "in progress" : state.api.last_error);
  return check;
}

Check backend_check(const State& state) {
  const BackendKnown& backend = state.backend;
  Check check{"backend", !backend.name.empty(), false, backend.name};
  if (!backend.name.empty() && !backend.reason.empty()) check.detail += ", " + backend.reason;
  if (!backend.note.empty()) check.detail += (check.detail.empty() ? "" : "; ") + backend.note;
  return check;
}

Check table_check(const TableState& table, WallTime now) {
  const TableStatus& status = table.status;
  Check check{lower("table " + to_string(table.id)), in_sync(table), false, {}};
  if (status.error) {
    check.detail = status.error->message;
  } else if (!status.note.empty()) {
    check.detail = "not used: " + status.note;
  } else if (!check.ok) {
    check.detail = status.contested ? (status.rival.empty() ? "another agent" : status.rival) +
                                          " keeps undoing our chains, backing off"
                   : status.flushed ? "the whole table was flushed, repaired in a moment"
                                    : "not verified since the last change";
  } else {
    check.detail = std::to_string(status.rules) + " rules, verified " +
                   (status.verified_at ? seconds_ago(*status.verified_at, now) : "never");
    if (!status.rival.empty()) check.detail += ", last displaced by " + status.rival;
    // Until the time for the next commit has come (pace.h).
    if (table.services_due) check.detail += "; changes waiting: " + std::to_string(table.changes);
  }
  return check;
}

/// Readiness requires kube-proxy's first sync and our check after its last one. In nftables mode
/// kube-proxy has no iptables chains: it cannot displace anything of ours, and only the native
/// backend sees its table.
Check kube_check(const State& state, Now now) {
  Check check{std::string(kKubeProxySynced), false, false, {}};
  bool any = false;
  bool pending = false;
  bool being_made = false;
  std::string unreadable;
  for (const KubeState& kube : state.kube) {
    if (!kube.status.unreadable.empty()) unreadable = kube.status.unreadable;
    any = any || kube.status.present;
    pending = pending || (kube.status.present && kube.resynced_at);
    being_made = being_made || (kube.made_at && now.mono - *kube.made_at < kSyncTakes);
    if (!kube.status.present) continue;
    if (!check.detail.empty()) check.detail += "; ";
    if (!kube.status.last_resync) {
      check.detail += std::string(to_string(kube.family)) + " unchanged since nmanager started";
      continue;
    }
    check.detail += std::string(to_string(kube.family)) + " changed " +
                    seconds_ago(*kube.status.last_resync, now.wall);
    if (kube.status.verified_after && !kube.resynced_at) {
      const auto lag = std::chrono::duration_cast<Millis>(kube.status.verify_lag).count();
      check.detail += ", verified " + std::to_string(lag) + " ms later";
    }
  }
  check.ok = any && !pending && !being_made && !never_synced(state);
  if (state.mode.mode == ProxyMode::kNftables) {
    check.ok = any || state.backend.name != "nftables";
    check.detail = any ? "nftables mode: kube-proxy's table exists"
                       : "nftables mode: kube-proxy keeps no iptables chains";
    if (!check.ok) check.detail = "no table kube-proxy: kube-proxy has not synced yet";
    if (never_synced(state)) {
      check.ok = false;
      check.detail = "kube-proxy has not synced since it started";
    }
    return check;
  }
  if (!unreadable.empty()) {
    check.ok = false;
    check.detail = "kube-proxy's chains could not be read: " + unreadable;
    return check;
  }
  if (!any) check.detail = "no KUBE-SERVICES chain in nat: kube-proxy has not synced yet";
  if (pending) check.detail += ", not verified since";
  if (being_made) check.detail += "; kube-proxy writes its chains";
  if (any && never_synced(state)) check.detail += "; kube-proxy has not synced since it started";
  return check;
}

/// Not part of readiness: existing rules do not depend on a running kube-proxy.
Check proxy_check(const State& state) {
  Check check{"kube-proxy", proxy_health(state) == ProxyHealth::kSynced, true,
              proxy_health_text(state)};
  if (!state.proxy_sync) check.detail = "not asked yet";
  if (!check.ok) return check;
  for (const KubeState& kube : state.kube) {
    if (!kube.status.present) continue;
    if (!check.detail.empty()) check.detail += "; ";
    check.detail += std::string(to_string(kube.family)) + " " +
                    (kube.status.told_sync ? sync_in_words(kube.status)
                                           : "no sync is reported since kube-proxy started");
  }
  return check;
}

Check api_check(const State& state, Now now) {
  Check check{"api-server", state.api.last_error.empty(), true, {}};
  if (!services_wanted(state)) {
    check.ok = true;
    check.detail = "not asked: no Services are needed";
    return check;
  }
  check.detail = state.api.server;
  if (state.api.last_word) {
    check.detail += ", last word " + seconds_ago(*state.api.last_word, now.wall);
  }
  if (const auto stale = stale_for(state.api, now.mono)) {
    check.ok = false;
    check.detail += ", Services may be out of date";
  }
  if (!state.api.last_error.empty())
    check.detail += (check.detail.empty() ? "" : ": ") + state.api.last_error;
  return check;
}

Check mode_check(const State& state) {
  Check check{"proxy-mode", state.mode.mode.has_value() && state.mode.note.empty(), true, {}};
  check.detail = state.mode.mode ? std::string(to_string(*state.mode.mode)) + ", reported by " +
                                       state.mode.origin
                                 : "not known";
  if (!state.mode.note.empty()) check.detail += "; " + state.mode.note;
  // In another mode the rules of IPVS mode are a black hole.
  const bool rules = std::ranges::any_of(state.tables, [](const TableState& table) {
    return table.id.table == Table::kNat && table.want == Want::kRules && table.status.rules > 0;
  });
  if (state.mode.in_doubt && rules) check.informational = false;
  return check;
}

std::vector<Check> checks_of(const State& state, Now now) {
  std::vector<Check> checks;
  if (!state.other_nmanager.empty()) checks.push_back(instance_check(state));
  checks.push_back(services_check(state));
  checks.push_back(backend_check(state));
  for (const TableState& table : state.tables) {
    if (table.want != Want::kLeave) checks.push_back(table_check(table, now.wall));
  }
  checks.push_back(kube_check(state, now));
  checks.push_back(proxy_check(state));
  checks.push_back(mode_check(state));
  checks.push_back(api_check(state, now));
  return checks;
}

}  // namespace

Snapshot make_snapshot(const State& state, Now now) {
  Snapshot snapshot;
  snapshot.made_at = now.wall;
  snapshot.started_at = state.started_at;
  snapshot.backend = state.backend.name;
  snapshot.proxy_mode =
      state.mode.mode ? std::string(to_string(*state.mode.mode)) : std::string("unknown");
  snapshot.proxy_mode_origin = state.mode.origin;
  snapshot.proxy_health = proxy_health(state);
  snapshot.proxy_health_text = proxy_health_text(state);
  if (state.proxy_sync) snapshot.proxy_last_sync = std::ranges::max(state.proxy_sync->last_sync);
  for (const TableState& table : state.tables) {
    snapshot.tables.push_back(table.status);
    snapshot.tables.back().in_sync = in_sync(table);
  }
  snapshot.drops = drop_status(state);
  for (const KubeState& kube : state.kube) snapshot.kube.push_back(kube.status);
  snapshot.be_liberal = state.conntrack.be_liberal;
  snapshot.api = state.api;
  snapshot.services_stale = services_wanted(state) && stale_for(state.api, now.mono).has_value();
  snapshot.services_wanted = services_wanted(state);
  if (!snapshot.services_wanted) snapshot.why_no_services = why_no_services(state);
  snapshot.services_listed = state.store.listed();
  if (snapshot.services_listed) {
    snapshot.services = state.store.size();
    snapshot.services_with_rules = state.store.services_with_rules();
    snapshot.skipped = state.store.skipped();
    snapshot.skipped_examples = state.store.examples();
  }
  snapshot.undecodable = state.undecodable;
  snapshot.mismatches = state.mismatches;
  snapshot.checks = checks_of(state, now);
  snapshot.warnings = warnings_of(state);
  snapshot.cures = cures_of(state);
  snapshot.ready_when_alive = state.settings.ready_when.value == ReadyWhen::kAlive;
  return snapshot;
}

}  // namespace nmanager::reconciler
