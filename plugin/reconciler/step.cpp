#include "plugin/reconciler/step.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "plugin/reconciler/drops.h"
#include "plugin/reconciler/flows.h"
#include "plugin/reconciler/kube.h"
#include "plugin/reconciler/outcome.h"
#include "plugin/reconciler/proxy_sync.h"
#include "plugin/reconciler/wants.h"
#include "plugin/reconciler/warnings.h"

namespace nmanager::reconciler {

namespace {

using Actions = std::vector<Action>;

/// A change by another program may repair what kept us from a table: it is without effect (dormant,
/// a chain on no hook), or a table of that name belongs to somebody else.
constexpr Millis kRetryAfterChange{1'000};
bool may_be_repaired(const std::optional<Error>& error) {
  return error && (error->kind == ErrorKind::kUnavailable || error->kind == ErrorKind::kDenied);
}

void log(Actions& actions, LogLine::Level level, std::string text) {
  actions.emplace_back(LogLine{level, std::move(text)});
}

void begin_check(State& state, TimePoint now) {
  if (!state.store.listed()) return;
  state.self_check.next_part = 0;
  state.self_check.next = now + kCheckPause;  // a list, or a full look, is enough for one turn
  for (TableState& table : state.tables) {
    table.check_due = table.id.table == Table::kNat && table.want == Want::kRules;
  }
}

bool checks(const State& state) {
  return state.self_check.next_part || std::ranges::any_of(state.tables, &TableState::check_due);
}

/// One handler for each event; step() puts together what they leave behind.
class Intake {
 public:
  Intake(State& state, Now now, Actions& actions) : state_(state), now_(now), actions_(actions) {}

  void operator()(ApiEvent event) {
    const bool of_node = std::holds_alternative<NodePodCidrs>(event) && node_wanted(state_);
    if (!services_wanted(state_) && !of_node) return;  // from a client that was just stopped
    std::visit([this](auto&& one) { take(std::forward<decltype(one)>(one)); }, std::move(event));
  }

  void operator()(const TableChange& change) {
    for (TableState& table : state_.tables) {
      if (change.family && table.id.family != *change.family) continue;
      table.due = true;
      if (!table.changed_at) table.changed_at = now_.mono;
      // Valid without its table: a check is cheap, and readiness waits for it.
      if (!table.status.note.empty()) table.not_before = {};
      if (may_be_repaired(table.status.error)) {
        table.not_before = std::min(table.not_before, now_.mono + kRetryAfterChange);
      }
      if (!change.writer.empty()) table.changed_by = change.writer;
    }
    for (KubeState& kube : state_.kube) {
      if (!change.family || kube.family == *change.family) kube.due = true;
    }
    note_change(state_, change.family, now_.wall);
  }

  void operator()(ModeKnown mode) {
    if (!mode.mode && state_.mode.mode) {
      mode.mode = state_.mode.mode;  // "unknown" does not mean "not IPVS"
      mode.origin = state_.mode.origin;
    }
    if (mode.mode != state_.mode.mode) {
      log(actions_, LogLine::Level::kInfo,
          "kube-proxy's mode is " + std::string(to_string(*mode.mode)) + " (reported by " +
              mode.origin + ")");
    }
    state_.mode = std::move(mode);
  }

  void operator()(BackendKnown backend) {
    if (backend.name != state_.backend.name) {
      forget_tables();
      log(actions_, LogLine::Level::kInfo,
          "rules are kept through " + backend.name +
              (backend.reason.empty() ? "" : " (" + backend.reason + ")"));
    }
    // What failed may work now.
    for (TableState& table : state_.tables) table.not_before = {};
    state_.backend = std::move(backend);
  }

  void operator()(SettingsChanged changed) {
    state_.settings = std::move(changed.settings);
    for (TableState& table : state_.tables) {
      table.spec_stale = true;
      table.due = true;
    }
  }

  void operator()(const ConntrackKnown& conntrack) { state_.conntrack = conntrack; }

  void operator()(const TableSynced& synced) { take_outcome(state_, synced, now_, actions_); }

  void operator()(const FlowsForgotten& forgotten) {
    take_forgotten(state_, forgotten, now_, actions_);
  }

  void operator()(const KubeLooked& looked) { take_kube(state_, looked, now_, actions_); }

  void operator()(ProxySync sync) { take_proxy_sync(state_, std::move(sync)); }

  void operator()(const CanaryKnown& canary) { state_.canary = canary.stands; }

  void operator()(ApiServersKnown known) { state_.api_servers = std::move(known.endpoints); }

  void operator()(const NodeClaimed& claimed) {
    if (claimed.other == state_.other_nmanager) return;
    state_.other_nmanager = claimed.other;
    if (state_.other_nmanager.empty()) {
      log(actions_, LogLine::Level::kInfo,
          "the other nmanager has ended: this one keeps the rules");
    } else {
      log(actions_, LogLine::Level::kError,
          state_.other_nmanager + " keeps the rules of this node: this one waits until it ends");
    }
  }

  void operator()(const CountersAsked&) {
    for (TableState& table : state_.tables) {
      if (table.id.table == Table::kFilter) table.due = true;
    }
  }

  void operator()(const Tick&) {}

 private:
  void take(ServicesListed listed) {
    if (!state_.store.listed()) {
      log(actions_, LogLine::Level::kInfo,
          "listed " + std::to_string(listed.services.size()) + " Services" +
              (state_.api.server.empty() ? "" : " of " + state_.api.server));
    }
    const std::vector<std::string>& keep = state_.undecodable_keys;
    state_.backlog.replace(state_.store.changes_to(std::move(listed.services), keep), keep);
    begin_check(state_, now_.mono);
  }

  void take(ServiceChanged changed) {
    state_.undecodable_logged.erase(changed.service.key);
    state_.backlog.change(std::move(changed.service));
  }

  void take(ServiceDeleted deleted) { state_.backlog.remove(std::move(deleted.key)); }

  void take(const ServiceUndecodable& bad) {
    constexpr std::size_t kMostLogged = 1000;
    ++state_.undecodable;
    // Only a list needs these keys: during an endless watch they must not accumulate.
    const bool listing = state_.api.phase == ApiState::Phase::kListing;
    if (listing && !bad.key.empty()) state_.undecodable_keys.push_back(bad.key);
    if (state_.undecodable_logged.size() >= kMostLogged) return;
    if (!state_.undecodable_logged.insert(bad.key).second) return;
    log(actions_, LogLine::Level::kWarning,
        "Service " + (bad.key.empty() ? "without a name" : bad.key) +
            " is skipped, its present rules stay: " + bad.reason);
  }

  void take(NodePodCidrs node) { state_.node_pod_cidrs = std::move(node.cidrs); }

  void take(ApiState api) {
    const bool listing = api.phase == ApiState::Phase::kListing;
    if (listing && state_.api.phase != ApiState::Phase::kListing) state_.undecodable_keys.clear();
    if (!api.last_error.empty() && api.last_error != state_.api.last_error) {
      log(actions_, LogLine::Level::kWarning, "API server " + api.server + ": " + api.last_error);
    } else if (api.last_error.empty() && !state_.api.last_error.empty()) {
      log(actions_, LogLine::Level::kInfo, "API server " + api.server + " answers again");
    }
    state_.api = std::move(api);
  }

  /// Another variant: all earlier observations are invalid.
  void forget_tables() {
    for (TableState& table : state_.tables) {
      table.due = true;
      table.parts = {};
      table.verified_at.reset();
      table.verified_digest.reset();
      table.held_hooks.clear();
      table.flushed_at.reset();
      table.status.flushed = false;
      table.not_before = {};
      table.invalid_seen.clear();
      table.status.in_sync = false;
      table.status.error.reset();
      table.status.note.clear();
    }
    for (KubeState& kube : state_.kube) {
      kube.due = true;
      kube.stamp.reset();
      kube.checksum.reset();
      kube.resynced_at.reset();
      kube.jumps.reset();
      kube.drops_invalid.reset();
      kube.status.present = kube.status.empty = false;
    }
  }

  State& state_;
  Now now_;
  Actions& actions_;
};

/// Changes of Services wait for one another, unless more are waiting to be taken; nothing: some of
/// these come first. A backend that replaces the whole table for each of its parts gets no parts.
std::optional<TimePoint> services_at(const State& state, const TableState& table, TimePoint now) {
  if (state.backlog.empty()) return table.pace.not_before().value_or(now);
  const bool many = table.changes >= kChangesAtOnce && !state.backend.replaces_tables;
  return many ? std::optional(now) : std::nullopt;
}

/// When the table may be looked at; nothing: there is no reason to. Repairs of what a rival undoes
/// are spaced out; what we want changed by ourselves is not contested, and does not wait for him.
std::optional<TimePoint> look_at(const State& state, const TableState& table, TimePoint now) {
  if (table.want == Want::kLeave || !(table.due || table.services_due)) return std::nullopt;
  TimePoint when = table.not_before;
  const bool as_wanted = !table.spec_stale && table.spec_digest == table.verified_digest;
  if (as_wanted) when = std::max(when, table.contest.not_before().value_or(now));
  if (table.due) return when;  // what others did is repaired at once
  const auto services = services_at(state, table, now);
  return services ? std::optional(std::max(when, *services)) : std::nullopt;
}

/// Not again after its delay.
bool spares_flush(const TableState& table, TimePoint now) {
  return table.want == Want::kRules &&
         (!table.flushed_at || now < *table.flushed_at + kFlushWindow);
}

void look_again(State& state, TimePoint now) {
  const bool full = now >= state.next_full_look;
  if (full) state.next_full_look = now + kFullLookInterval;
  if (full) begin_check(state, now);
  for (TableState& table : state.tables) {
    const bool old =
        table.id.table == Table::kFilter && now - table.looked_at >= kFilterLookInterval;
    if (full || old) table.due = true;
  }
}

/// What large changes needed is given back to the system once it is quiet.
void trim(State& state, TimePoint now, Actions& actions) {
  bool due = false;
  for (TableState& table : state.tables) {
    if (!table.untrimmed || now - table.looked_at < kTrimAfter) continue;
    table.untrimmed = false;
    due = true;
  }
  if (due) actions.emplace_back(GiveBack{});
}

/// The next part of it, when its time has come; rather not in a turn with something else to do, or
/// in which something was done (`busy`). True: of the tables as well.
bool check(State& state, TimePoint now, bool busy, Actions& actions) {
  if (!checks(state) || now < state.self_check.next) return false;
  if (!state.backlog.empty() || in_parts(state)) return false;
  busy = busy || std::ranges::any_of(state.tables, [&](const TableState& table) {
           return look_at(state, table, now).value_or(TimePoint::max()) <= now;
         });
  if (busy && now < state.self_check.next + kCheckPatience) return false;
  state.self_check.next = now + kCheckPause;
  for (TableState& table : state.tables) table.due = table.due || table.check_due;
  auto& part = state.self_check.next_part;
  if (!part) return true;
  const std::size_t parts = 1 + state.store.size() / kCheckedServices;
  const auto found = state.store.check(std::min(*part, parts - 1), parts);
  ++*part;
  if (*part >= parts || found) part.reset();
  if (!found) return true;
  ++state.mismatches;
  log(actions, LogLine::Level::kError,
      "the kept addresses differed from what the Services mean; computed again: " + *found);
  return true;
}

/// `may_sync`: see step(). `check`: of what is kept, as well.
void collect(State& state, TimePoint now, bool may_sync, bool check, Actions& actions) {
  if (state.backend.name.empty() || !state.other_nmanager.empty()) return;
  SyncTables due;
  due.check = check;
  for (TableState& table : state.tables) {
    table.contest.look(now);
    table.status.contested = table.contest.contested();
    if (!may_sync) continue;
    if (const auto when = look_at(state, table, now); !when || now < *when) continue;
    table.due = false;
    table.services_due = false;
    table.changes = 0;
    table.looked_at = now;
    table.untrimmed = table.id.table == Table::kNat;
    due.goals.push_back({table.id, spec_of(state, table)});
    if (spares_flush(table, now)) due.spare_flushed.insert(table.id);
  }
  if (!due.goals.empty()) actions.emplace_back(std::move(due));
  for (KubeState& kube : state.kube) {
    const bool content = kube.content_due && now >= kube.content_not_before;
    if (!kube.due && !content) continue;
    kube.due = false;
    actions.emplace_back(LookAtKube{kube.family, kube.content_due ? std::nullopt : kube.stamp,
                                    now >= kube.content_not_before});
  }
}

/// Drops Services that are not wanted any more.
void drop_services(State& state, Actions& actions) {
  const bool none = !state.store.listed() && state.store.size() == 0 && state.backlog.untouched();
  if (services_wanted(state) || none) return;
  using Dropped = std::pair<services::Catalog, services::Backlog>;
  actions.emplace_back(GiveBack{std::make_shared<const Dropped>(std::exchange(state.store, {}),
                                                                std::exchange(state.backlog, {}))});
  state.self_check = {};
  for (TableState& table : state.tables) table.check_due = false;
  state.api = {};
  state.undecodable_keys.clear();
  state.undecodable_logged.clear();
}

}  // namespace

State initial_state(Settings settings, Now now) {
  State state;
  state.settings = std::move(settings);
  state.started_at = now.wall;
  state.warned = {state.settings.notes.begin(), state.settings.notes.end()};  // logged before
  state.next_full_look = now.mono + kFullLookInterval;
  for (std::size_t i = 0; i < kTables.size(); ++i) {
    state.tables[i].id = kTables[i];
    state.tables[i].status.id = kTables[i];
  }
  for (std::size_t i = 0; i < kFamilies.size(); ++i) {
    state.kube[i].family = kFamilies[i];
    state.kube[i].status.family = kFamilies[i];
    state.flows[i].family = kFamilies[i];
  }
  return state;
}

std::vector<Action> step(State& state, std::vector<Event> events, Now now, bool may_sync) {
  Actions actions;
  const bool busy = std::ranges::any_of(events, is_answer);
  for (Event& event : events) std::visit(Intake(state, now, actions), std::move(event));
  look_again(state, now.mono);
  drop_services(state, actions);
  const bool checking = check(state, now.mono, busy, actions);
  const std::size_t taken = may_sync ? take_services(state) : 0;
  update_wants(state);
  note_services(state, taken);
  log_warnings(state, actions);
  note_lasting(state, now.mono);
  tell_health(state, now.mono, actions);
  collect(state, now.mono, may_sync, checking, actions);
  forget_flows_again(state, now.mono, actions);
  trim(state, now.mono, actions);
  return actions;
}

TimePoint wake_at(const State& state, TimePoint now) {
  if (!state.backlog.empty()) return now;
  TimePoint wake = std::max(state.next_full_look, now);
  if (state.backend.name.empty()) return wake;  // nothing can be done before it is known
  const auto no_later = [&](TimePoint when) { wake = std::min(wake, std::max(when, now)); };
  for (const TableState& table : state.tables) {
    if (table.untrimmed) no_later(table.looked_at + kTrimAfter);
    if (const auto calm_at = table.contest.calm_at()) no_later(*calm_at);
    if (table.want == Want::kLeave) continue;
    if (const auto when = look_at(state, table, now)) {
      no_later(*when);
    } else if (table.id.table == Table::kFilter) {
      no_later(table.looked_at + kFilterLookInterval);
    }
  }
  if (checks(state) && !in_parts(state)) no_later(state.self_check.next);
  for (const FlowsToForget& flows : state.flows) {
    if (flows.at) no_later(*flows.at);
  }
  for (const KubeState& kube : state.kube) {
    if (kube.content_due) no_later(kube.content_not_before);
  }
  return wake;
}

}  // namespace nmanager::reconciler
