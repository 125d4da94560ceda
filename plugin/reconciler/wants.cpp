#include "plugin/reconciler/wants.h"

#include <algorithm>
#include <utility>

#include "hooks/intent/table_spec.h"
#include "plugin/reconciler/diagnosis.h"

namespace nmanager::reconciler {

namespace {

bool family_chosen(const Settings& settings, Family family) {
  switch (settings.ip_family.value) {
    case FamilyChoice::kIpv4:
      return family == Family::kIpv4;
    case FamilyChoice::kIpv6:
      return family == Family::kIpv6;
    case FamilyChoice::kAuto:
    case FamilyChoice::kDual:
      return true;
  }
  return true;
}

Want want_filter(const State& state) {
  switch (state.settings.drop_invalid.value) {
    case Switch::kOn:
      return Want::kRules;
    case Switch::kOff:
      return Want::kNothing;
    case Switch::kAuto:
      return state.conntrack.be_liberal ? Want::kNothing : Want::kRules;
  }
  return Want::kLeave;
}

/// Outside IPVS mode the rules would be a black hole, whatever the setting says; while the mode is
/// not known, or the first list is not complete, what stands stays.
Want want_nat(const State& state) {
  if (state.settings.external_cluster.value == Switch::kOff) return Want::kNothing;
  if (!state.mode.mode) return Want::kLeave;
  if (*state.mode.mode != ProxyMode::kIpvs) return Want::kNothing;
  return state.store.listed() ? Want::kRules : Want::kLeave;
}

const std::optional<Prefix>& pod_cidr(const Settings& settings, Family family) {
  return family == Family::kIpv4 ? settings.pod_cidr_ipv4.value : settings.pod_cidr_ipv6.value;
}

ExternalCluster make_nat(const State& state, Family family) {
  const Settings& settings = state.settings;
  ExternalClusterSettings external;
  external.pod_cidr = pod_cidr(settings, family);
  external.match = settings.external_match.value;
  external.masquerade_bit = settings.masquerade_bit.value;
  return {state.store.addresses(family), external};
}

services::QualifySettings qualify_settings(const State& state) {
  services::QualifySettings qualify;
  qualify.any_external_policy = state.settings.external_policy.value == ExternalPolicy::kAll;
  qualify.match = state.settings.external_match.value;
  qualify.api_servers = state.api_servers;
  return qualify;
}

/// The spec has the addresses that follow from the Services.
bool has_addresses(const State& state, const TableState& table) {
  const auto* external = table.spec ? std::get_if<ExternalCluster>(table.spec.get()) : nullptr;
  return external != nullptr && external->addresses == state.store.addresses(table.id.family);
}

TableSpec make_spec(const State& state, const TableState& table) {
  if (table.want != Want::kRules) return NoRules{};
  if (table.id.table == Table::kNat) return make_nat(state, table.id.family);
  return state.settings.drop_invalid_exempt.value;
}

}  // namespace

bool external_cluster_on(const State& state) {
  return state.settings.external_cluster.value != Switch::kOff &&
         state.mode.mode == ProxyMode::kIpvs;
}

void update_wants(State& state) {
  for (TableState& table : state.tables) {
    Want want = table.id.table == Table::kFilter ? want_filter(state) : want_nat(state);
    if (!family_chosen(state.settings, table.id.family)) want = Want::kLeave;
    if (want == table.want) continue;
    table.want = want;
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

void update_services(State& state) {
  state.store.configure(qualify_settings(state));
  state.store.settle();
  for (TableState& table : state.tables) {
    if (table.id.table != Table::kNat || table.want != Want::kRules) continue;
    if (table.spec_stale || has_addresses(state, table)) continue;
    table.spec_stale = true;
    table.services_due = true;
  }
}

bool all_stand(const State& state) {
  return std::ranges::all_of(state.tables, [&](const TableState& table) {
    return !family_chosen(state.settings, table.id.family) ||
           (table.want != Want::kLeave && table.status.in_sync);
  });
}

std::vector<TableId> settled_tables(const State& state) {
  std::vector<TableId> settled;
  for (const TableState& table : state.tables) {
    if (table.want != Want::kLeave && table.status.in_sync) settled.push_back(table.id);
  }
  return settled;
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
    table.spec_stale = false;
  }
  return table.spec;
}

std::vector<std::string> warnings_of(const State& state) {
  std::vector<std::string> warnings = state.settings.notes;
  const Settings& settings = state.settings;
  if (settings.external_cluster.value == Switch::kOn && state.mode.mode &&
      *state.mode.mode != ProxyMode::kIpvs) {
    warnings.emplace_back(
        "RULE_EXTERNAL_CLUSTER_ENABLE=true is not obeyed: kube-proxy is not in IPVS mode, and "
        "there the rules would be a black hole for the external addresses");
  }
  if (settings.external_cluster.value != Switch::kOff && !state.mode.mode) {
    warnings.push_back("kube-proxy's mode is not known" +
                       (state.mode.note.empty() ? "" : " (" + state.mode.note + ")") +
                       ": the external-cluster rules stay as they are");
  }
  if (external_cluster_on(state) && !settings.pod_cidr_ipv4.value &&
      !settings.pod_cidr_ipv6.value) {
    warnings.emplace_back(
        "no pod CIDR is set (POD_CIDR_IPV4, POD_CIDR_IPV6, or clusterCIDR in kube-proxy's "
        "config.conf): pods do not get the external-cluster rules, only the node itself does");
  }
  if (state.conntrack.be_liberal && settings.drop_invalid.value == Switch::kOn) {
    warnings.emplace_back(
        "net.netfilter.nf_conntrack_tcp_be_liberal is set: conntrack calls few packets INVALID, "
        "the drop rule has little to do");
  }
  if (!state.backend.note.empty()) warnings.push_back(state.backend.note);
  for (std::string& warning : pod_warnings(state)) warnings.push_back(std::move(warning));
  for (const TableState& table : state.tables) {
    if (!table.status.contested) continue;
    warnings.push_back(to_string(table.id) + ": " +
                       (table.status.rival.empty() ? "another agent" : table.status.rival) +
                       " keeps undoing our chains; repairs are spaced out");
  }
  return warnings;
}

}  // namespace nmanager::reconciler
