#include "plugin/reconciler/cures.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "plugin/reconciler/wants.h"

namespace nmanager::reconciler {

namespace {

constexpr std::string_view kNames[] = {"connections of pods to the outside are reset",
                                       "external IPs cannot be reached from inside",
                                       "connections of clients to Services are reset"};

/// Why rules that are wanted in tables of this kind are not in place; empty: they are.
std::string trouble_in(const State& state, Table kind) {
  std::string trouble;
  for (const TableState& table : state.tables) {
    if (table.id.table != kind || table.want != Want::kRules) continue;
    std::string one;
    if (table.status.error) {
      one = table.status.error->message;
    } else if (!table.status.note.empty()) {
      continue;  // the kernel has no such family, and nobody insists on it
    } else if (!table.status.in_sync) {
      one = "not in place yet";
    } else if (table.changed_at) {
      one = "changed by others, not verified since";
    }
    if (one.empty()) continue;
    trouble += (trouble.empty() ? "" : "; ") + to_string(table.id) + ": " + one;
  }
  return trouble;
}

bool wanted(const State& state, Table kind) {
  return std::ranges::any_of(state.tables, [&](const TableState& table) {
    return table.id.table == kind && table.want == Want::kRules;
  });
}

Cure with_rules(Cure cure, const State& state, Table kind) {
  cure.why = trouble_in(state, kind);
  cure.state = cure.why.empty() ? CureState::kOn : CureState::kFailing;
  return cure;
}

std::string dropped(const State& state) {
  std::uint64_t all = 0;
  std::string parts;
  for (const TableState& table : state.tables) {
    if (table.id.table != Table::kFilter) continue;
    all += table.status.invalid_drops;
    parts += (parts.empty() ? "" : ", ") + std::string(to_string(table.id.family)) + ' ' +
             std::to_string(table.status.invalid_drops);
  }
  return std::to_string(all) + " INVALID packets dropped in INPUT (" + parts + ")";
}

Cure input_cure(const State& state) {
  Cure cure{1, std::string(kNames[0])};
  if (wanted(state, Table::kFilter)) {
    cure = with_rules(std::move(cure), state, Table::kFilter);
    cure.did = dropped(state);
    if (cure.state == CureState::kOn && state.conntrack.be_liberal) {
      cure.why = "there is little to do: net.netfilter.nf_conntrack_tcp_be_liberal is set";
    }
  } else if (state.settings.drop_invalid.value == Switch::kOff) {
    cure.state = CureState::kOff;
    cure.why = "RULE_DROP_INVALID_INPUT_ENABLE=false";
  } else if (state.conntrack.be_liberal) {
    cure.state = CureState::kNotNeeded;
    cure.why = "net.netfilter.nf_conntrack_tcp_be_liberal is set";
  }
  return cure;
}

Cure external_cure(const State& state) {
  Cure cure{2, std::string(kNames[1])};
  if (state.settings.external_cluster.value == Switch::kOff) {
    cure.state = CureState::kOff;
    cure.why = "RULE_EXTERNAL_CLUSTER_ENABLE=false";
  } else if (!state.mode.mode) {
    cure.why = "kube-proxy's mode is not known";
  } else if (*state.mode.mode != ProxyMode::kIpvs) {
    cure.state = CureState::kNotNeeded;
    cure.why = "kube-proxy runs in " + std::string(to_string(*state.mode.mode)) + " mode";
  } else if (!state.store.listed()) {
    cure.why = "the first list of Services is not complete";
  } else {
    cure = with_rules(std::move(cure), state, Table::kNat);
    cure.did = std::to_string(state.qualified.services_with_rules) + " of " +
               std::to_string(state.store.size()) + " Services have rules";
    const Settings& settings = state.settings;
    if (cure.why.empty() && !settings.pod_cidr_ipv4.value && !settings.pod_cidr_ipv6.value) {
      cure.why = "for this node's own traffic only: no pod CIDR is known";
    }
  }
  return cure;
}

/// This version has no rule for it; where it does not occur, that is what there is to say.
Cure forward_cure(const State& state) {
  Cure cure{3, std::string(kNames[2])};
  if (!state.mode.mode) {
    cure.why = "kube-proxy's mode is not known";
  } else if (*state.mode.mode == ProxyMode::kNftables) {
    cure.state = CureState::kOff;
    cure.why = "this version has no rule for it";
  } else {
    cure.state = CureState::kNotNeeded;
    cure.why = "kube-proxy runs in " + std::string(to_string(*state.mode.mode)) + " mode";
  }
  return cure;
}

using MakeCure = Cure (*)(const State&);
constexpr std::array<MakeCure, 3> kCures{&input_cure, &external_cure, &forward_cure};

}  // namespace

std::vector<Cure> cures_of(const State& state) {
  std::vector<Cure> cures;
  for (const MakeCure make : kCures) {
    cures.push_back(make(state));
    if (!state.other_nmanager.empty()) {
      cures.back().state = CureState::kOff;
      cures.back().why = state.other_nmanager + " keeps the rules of this node";
      cures.back().did.clear();
    }
  }
  return cures;
}

}  // namespace nmanager::reconciler
