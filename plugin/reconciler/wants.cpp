#include "plugin/reconciler/wants.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "hooks/intent/table_spec.h"
#include "plugin/reconciler/drops.h"

namespace nmanager::reconciler {

namespace {

bool family_chosen(const Settings& settings, Family family) {
  return !leaves_out(settings.ip_family.value, family);
}

/// The filter table's families are decided one by one; a change of any makes its spec stale.
Want want_filter(const State& state, TableState& table) {
  const TableSpec spec = filter_spec(state, table.id.family);
  const std::uint64_t decided = digest_of(spec);
  const bool any = !hooks_of(spec).empty();
  table.undecided = hooks_of(spec).size() < spec.families.size();
  if (decided != table.decided && table.want != Want::kLeave) {
    table.spec_stale = true;
    table.due = true;
    table.not_before = {};
    table.status.in_sync = false;
  }
  table.decided = decided;
  return any ? Want::kRules : Want::kNothing;
}

/// Outside IPVS mode the rules would be a black hole, whatever the setting; while the mode is
/// unknown or the first list is not complete, existing rules stay.
Want want_nat(const State& state) {
  if (state.settings.external_cluster.value == Switch::kOff) return Want::kNothing;
  if (!state.mode.mode) return Want::kLeave;
  if (*state.mode.mode != ProxyMode::kIpvs) return Want::kNothing;
  return state.store.listed() ? Want::kRules : Want::kLeave;
}

ExternalCluster make_nat(const State& state, Family family) {
  const Settings& settings = state.settings;
  ExternalClusterSettings external;
  external.pod_cidr = pod_cidr(settings, family).value;
  external.match = settings.external_match.value;
  external.masquerade_bit = settings.masquerade_bit.value;
  return {state.store.addresses(family), external};
}

/// The spec has the addresses that follow from the Services.
bool has_addresses(const State& state, const TableState& table) {
  const ExternalCluster* external = table.spec ? external_of(*table.spec) : nullptr;
  return external != nullptr && external->addresses == state.store.addresses(table.id.family);
}

TableSpec make_spec(const State& state, const TableState& table) {
  if (table.id.table == Table::kFilter) return filter_spec(state, table.id.family);
  if (table.want != Want::kRules) return {};
  return {make_nat(state, table.id.family)};
}

}  // namespace

services::QualifySettings qualify_settings(const State& state) {
  services::QualifySettings qualify;
  qualify.any_external_policy = state.settings.external_policy.value == ExternalPolicy::kAll;
  qualify.match = state.settings.external_match.value;
  qualify.api_servers = state.api_servers;
  return qualify;
}

bool external_cluster_on(const State& state) {
  return state.settings.external_cluster.value != Switch::kOff &&
         state.mode.mode == ProxyMode::kIpvs;
}

void update_wants(State& state) {
  for (TableState& table : state.tables) {
    Want want = table.id.table == Table::kFilter ? want_filter(state, table) : want_nat(state);
    if (!family_chosen(state.settings, table.id.family)) want = Want::kLeave;
    if (want == table.want) continue;
    table.want = want;
    table.parts = {};
    table.spec_stale = true;
    table.due = want != Want::kLeave;
    table.check_due = false;
    table.not_before = {};
    table.status.wanted = want == Want::kRules;
    table.status.in_sync = false;
    table.status.error.reset();
    table.status.note.clear();
  }
}

std::size_t take_services(State& state) {
  if (in_parts(state)) return 0;  // which has to stand first
  const bool first = !state.store.listed();
  const std::size_t taken =
      state.backlog.move_to(state.store, first ? kListedAtOnce : kChangesAtOnce);
  // Not before: rules of an earlier process that shall stand would be removed.
  if (state.backlog.list_taken()) state.store.set_listed();
  return taken;
}

void note_services(State& state, std::size_t taken) {
  state.store.configure(qualify_settings(state));
  state.store.settle();
  for (TableState& table : state.tables) {
    if (table.id.table != Table::kNat || table.want != Want::kRules) continue;
    if (!table.spec_stale && !has_addresses(state, table)) {
      table.spec_stale = true;
      table.services_due = true;
    }
    if (table.services_due) table.changes += taken;
  }
}

bool in_parts(const State& state) {
  return std::ranges::any_of(state.tables,
                             [](const TableState& table) { return table.parts.left.has_value(); });
}

bool all_stand(const State& state) {
  return std::ranges::all_of(state.tables, [&](const TableState& table) {
    return !family_chosen(state.settings, table.id.family) ||
           (table.want != Want::kLeave && !table.undecided && table.status.in_sync);
  });
}

std::vector<TableId> settled_tables(const State& state) {
  std::vector<TableId> settled;
  for (const TableState& table : state.tables) {
    const bool decided = table.want != Want::kLeave && !table.undecided;
    if (decided && table.status.in_sync) settled.push_back(table.id);
  }
  return settled;
}

std::vector<TableId> tables_to_clear(const State& state, bool in_use,
                                     std::span<const TableId> in_place) {
  std::vector<TableId> tables;
  for (const TableState& table : state.tables) {
    if (!family_chosen(state.settings, table.id.family)) tables.push_back(table.id);
  }
  if (!in_use) tables.insert(tables.end(), in_place.begin(), in_place.end());
  return tables;
}

bool has_unverified_change(const State& state) {
  return std::ranges::any_of(state.tables, [](const TableState& table) {
    return table.want != Want::kLeave && table.changed_at.has_value();
  });
}

std::string trouble_of_backend(const State& state) {
  for (const TableState& table : state.tables) {
    if (table.want != Want::kRules || !table.status.error) continue;
    const ErrorKind kind = table.status.error->kind;
    if (kind == ErrorKind::kUnsupported || kind == ErrorKind::kAbsent) {
      return to_string(table.id) + ": " + table.status.error->message;
    }
  }
  return {};
}

bool has_worked(const State& state) {
  return std::ranges::any_of(
      state.tables, [](const TableState& table) { return table.verified_digest.has_value(); });
}

bool services_wanted(const State& state) {
  return state.other_nmanager.empty() && external_cluster_on(state);
}

std::string why_no_services(const State& state) {
  if (!state.other_nmanager.empty()) return "another nmanager keeps the rules";
  if (state.settings.external_cluster.value == Switch::kOff) {
    return "the external-cluster rules are off";
  }
  if (!state.mode.mode) return "kube-proxy's mode is not known";
  return "kube-proxy runs in " + std::string(to_string(*state.mode.mode)) + " mode";
}

std::shared_ptr<const TableSpec> spec_of(State& state, TableState& table) {
  if (table.spec_stale || !table.spec) {
    table.spec = std::make_shared<const TableSpec>(make_spec(state, table));
    table.spec_digest = digest_of(*table.spec);
    table.spec_hooks = hooks_of(*table.spec);
    table.spec_stale = false;
  }
  return table.spec;
}

}  // namespace nmanager::reconciler
