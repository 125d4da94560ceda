#include "plugin/reconciler/cures.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "plugin/reconciler/drops.h"

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
      continue;  // the kernel lacks this family, and no setting requires it
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

Cure with_rules(Cure cure, const State& state, Table kind) {
  cure.why = trouble_in(state, kind);
  cure.state = cure.why.empty() ? CureState::kOn : CureState::kFailing;
  return cure;
}

/// INVALID packets of a hook, by family: "12 INVALID packets dropped in INPUT (IPv4 11, IPv6 1)".
std::string packets_of(const State& state, Hook hook, bool dropped) {
  std::uint64_t all = 0;
  std::string parts;
  for (const TableState& table : state.tables) {
    if (table.id.table != Table::kFilter) continue;
    std::uint64_t packets = 0;
    for (const auto& [counter, count] : table.status.invalid) {
      if (counter.hook == hook && counter.dropped == dropped) packets += count;
    }
    all += packets;
    parts += (parts.empty() ? "" : ", ") + std::string(to_string(table.id.family)) + ' ' +
             std::to_string(packets);
  }
  return std::to_string(all) + " INVALID packets " + (dropped ? "dropped" : "counted") + " in " +
         std::string(to_string(hook)) + " (" + parts + ")";
}

/// Why a drop is off: by setting, or since the problem does not occur.
CureState off_state(const State& state, Switch setting, Hook hook) {
  if (setting != Switch::kAuto) return CureState::kOff;
  if (state.conntrack.be_liberal) return CureState::kNotNeeded;
  if (hook == Hook::kInput || !state.mode.mode || *state.mode.mode == ProxyMode::kNftables) {
    return CureState::kOff;
  }
  return lacks_kube_rule(state) ? CureState::kOff : CureState::kNotNeeded;
}

/// `decide`: for one family.
Cure drop_cure(Cure cure, const State& state, Switch setting, Hook hook,
               DropDecision (*decide)(const State&, Family)) {
  const std::array decisions{decide(state, Family::kIpv4), decide(state, Family::kIpv6)};
  const auto any = [&](InvalidAction action) {
    return std::ranges::find(decisions, std::optional(action), &DropDecision::action) !=
           decisions.end();
  };
  cure.why = decisions[0].why;
  if (any(InvalidAction::kDrop)) {
    cure = with_rules(std::move(cure), state, Table::kFilter);
    cure.did = packets_of(state, hook, true);
    for (std::size_t i = 0; i < decisions.size() && cure.why.empty(); ++i) {
      if (!decisions[i].action) cure.why = decisions[i].why;
    }
    if (cure.state == CureState::kOn && state.conntrack.be_liberal) {
      cure.why = "there is little to do: net.netfilter.nf_conntrack_tcp_be_liberal is set";
    }
  } else if (any(InvalidAction::kCount)) {
    cure.state = CureState::kOff;
    cure.why = "packets are counted only, none is dropped";
    cure.did = packets_of(state, hook, false);
  } else if (any(InvalidAction::kLeave)) {
    cure.state = CureState::kUnknown;
  } else {
    cure.state = off_state(state, setting, hook);
  }
  return cure;
}

Cure input_cure(const State& state) {
  return drop_cure({1, std::string(kNames[0])}, state, state.settings.drop_invalid_input.value,
                   Hook::kInput, [](const State& known, Family) { return decide_input(known); });
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
    cure.did = std::to_string(state.store.services_with_rules()) + " of " +
               std::to_string(state.store.size()) + " Services have rules";
    if (cure.why.empty() && !knows_pod_cidr(state.settings)) {
      cure.why = "for this node's own traffic only: no pod CIDR is known";
    }
  }
  return cure;
}

Cure forward_cure(const State& state) {
  return drop_cure({3, std::string(kNames[2])}, state, state.settings.drop_invalid_forward.value,
                   Hook::kForward, &decide_forward);
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
