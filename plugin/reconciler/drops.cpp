#include "plugin/reconciler/drops.h"

#include <algorithm>
#include <utility>

namespace nmanager::reconciler {

namespace {

constexpr std::string_view kLiberal =
    "nf_conntrack_tcp_be_liberal is set, conntrack calls few packets INVALID";

const KubeState& kube_of(const State& state, Family family) {
  return *std::ranges::find(state.kube, family, &KubeState::family);
}

bool any_pods(const State& state) {
  return std::ranges::any_of(kFamilies,
                             [&](Family family) { return pods_of(state, family).has_value(); });
}

bool forward_needs_pods(const State& state) {
  switch (state.settings.drop_invalid_forward.value) {
    case Switch::kOff:
      return false;
    case Switch::kAuto:
      return state.mode.mode == ProxyMode::kNftables && !state.conntrack.be_liberal;
    default:
      return true;
  }
}

DropDecision decide_forward_by_mode(const State& state, Family family) {
  if (state.conntrack.be_liberal) return {std::nullopt, std::string(kLiberal)};
  if (!state.mode.mode) return {InvalidAction::kLeave, "kube-proxy's mode is not known"};
  switch (*state.mode.mode) {
    case ProxyMode::kNftables:
      return {InvalidAction::kDrop, "kube-proxy's nftables mode drops none"};
    case ProxyMode::kIpvs:
      return {std::nullopt, "IPVS translates answers from its own table"};
    default:
      if (lacks_kube_rule(state, family)) {
        return {std::nullopt, "kube-proxy runs in iptables mode, but KUBE-FORWARD drops none"};
      }
      return {std::nullopt, "kube-proxy's iptables mode drops them itself, in KUBE-FORWARD"};
  }
}

std::string_view word_of(const DropDecision& decision) {
  if (!decision.action) return "off";
  switch (*decision.action) {
    case InvalidAction::kDrop:
      return "on";
    case InvalidAction::kCount:
      return "counting";
    case InvalidAction::kLeave:
      return "not decided";
  }
  return "?";
}

}  // namespace

bool lacks_kube_rule(const State& state, Family family) {
  return state.mode.mode == ProxyMode::kIptables &&
         kube_of(state, family).drops_invalid == std::optional(false);
}

bool lacks_kube_rule(const State& state) {
  return std::ranges::any_of(kFamilies,
                             [&](Family family) { return lacks_kube_rule(state, family); });
}

std::optional<Prefix> pods_of(const State& state, Family family) {
  if (const auto& told = pod_cidr(state.settings, family).value) return told;
  if (!state.node_pod_cidrs) return std::nullopt;
  const auto node = std::ranges::find(*state.node_pod_cidrs, family, &Prefix::family);
  if (node == state.node_pod_cidrs->end() || node->length() == 0) return std::nullopt;
  return *node;
}

DropDecision decide_input(const State& state) {
  switch (state.settings.drop_invalid_input.value) {
    case Switch::kOn:
      return {InvalidAction::kDrop, "by setting"};
    case Switch::kCount:
      return {InvalidAction::kCount, "by setting"};
    case Switch::kOff:
      return {std::nullopt, "by setting"};
    case Switch::kAuto:
      break;
  }
  if (state.conntrack.be_liberal) return {std::nullopt, std::string(kLiberal)};
  return {InvalidAction::kDrop, "nf_conntrack_tcp_be_liberal is not set"};
}

DropDecision decide_forward(const State& state, Family family) {
  const Switch setting = state.settings.drop_invalid_forward.value;
  if (setting == Switch::kOff) return {std::nullopt, "by setting"};
  DropDecision decision = setting == Switch::kAuto ? decide_forward_by_mode(state, family)
                          : setting == Switch::kOn
                              ? DropDecision{InvalidAction::kDrop, "by setting"}
                              : DropDecision{InvalidAction::kCount, "by setting"};
  if (decision.action == InvalidAction::kLeave) return decision;  // regardless of the pod CIDR
  if (decision.action && !pods_of(state, family)) {
    if (node_wanted(state) && !state.node_pod_cidrs) {
      return {InvalidAction::kLeave, "this node's podCIDR is being asked for"};
    }
    return {std::nullopt, "no " + std::string(to_string(family)) + " pod CIDR is known"};
  }
  return decision;
}

TableSpec filter_spec(const State& state, Family family) {
  const Exemptions& exempt = state.settings.drop_invalid_exempt.value;
  TableSpec spec;
  if (const auto action = decide_input(state).action) {
    spec.families.emplace_back(drop_invalid_input(*action, exempt));
  }
  if (const auto action = decide_forward(state, family).action) {
    const Prefix pods = pods_of(state, family).value_or(Prefix{});  // none: kLeave
    spec.families.emplace_back(drop_invalid_forward(*action, pods, exempt));
  }
  return spec;
}

std::vector<DropStatus> drop_status(const State& state) {
  std::vector<DropStatus> all;
  const auto add = [&](Family family, Hook hook, DropDecision decision) {
    all.push_back({family, hook, std::string(word_of(decision)), std::move(decision.why)});
  };
  for (const Family family : kFamilies) {
    add(family, Hook::kInput, decide_input(state));
    add(family, Hook::kForward, decide_forward(state, family));
  }
  return all;
}

bool node_wanted(const State& state) {
  return state.other_nmanager.empty() && !knows_pod_cidr(state.settings) &&
         forward_needs_pods(state);
}

std::vector<Warning> drop_warnings(const State& state) {
  std::vector<Warning> warnings;
  const bool pending = node_wanted(state) && !state.node_pod_cidrs;
  if (forward_needs_pods(state) && !pending && !any_pods(state)) {
    warnings.push_back(
        {WarningCode::kPodCidrMissing,
         "PROBLEM 3 IS NOT CURED: no pod CIDR is known (POD_CIDR_IPV4, POD_CIDR_IPV6, or "
         "clusterCIDR in kube-proxy's configuration; nor has this node a podCIDR that can be "
         "read), so INVALID packets of pods are not dropped in FORWARD"});
  }
  const Switch forward = state.settings.drop_invalid_forward.value;
  if (lacks_kube_rule(state) && forward == Switch::kAuto && !state.conntrack.be_liberal) {
    warnings.push_back(
        {WarningCode::kKubeRuleMissing,
         "kube-proxy's rule that drops INVALID packets is missing from KUBE-FORWARD: "
         "nf_conntrack_tcp_be_liberal was set when kube-proxy started, and is not set now. Restart "
         "kube-proxy, or set RULE_DROP_INVALID_FORWARD_ENABLE=true"});
  }
  return warnings;
}

}  // namespace nmanager::reconciler
