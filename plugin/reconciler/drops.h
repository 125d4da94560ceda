// Which INVALID packets are dropped on this node: the decision for each hook of filter, from
// settings, kube-proxy's mode, the sysctl and the pod CIDRs. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "hooks/intent/table_spec.h"
#include "plugin/model/warning.h"
#include "plugin/reconciler/state.h"

namespace nmanager::reconciler {

struct DropDecision {
  std::optional<InvalidAction> action;  // nullopt: off
  std::string why;                      // one line, for people
};

/// Problem 1.
[[nodiscard]] DropDecision decide_input(const State& state);
/// Problem 3.
[[nodiscard]] DropDecision decide_forward(const State& state, Family family);

/// The addresses of pods: kube-proxy's clusterCIDR or the setting, else this node's podCIDR.
[[nodiscard]] std::optional<Prefix> pods_of(const State& state, Family family);

/// This node's Node object is needed: a pod CIDR is wanted and no other one is known. In this case
/// there is no other request to the API server.
[[nodiscard]] bool node_wanted(const State& state);

/// Both decisions, as the desired content of the filter table.
[[nodiscard]] TableSpec filter_spec(const State& state, Family family);

/// The same for the status, in the order of families and hooks.
[[nodiscard]] std::vector<DropStatus> drop_status(const State& state);

/// kube-proxy's own rule is not in KUBE-FORWARD, where its iptables mode puts it.
[[nodiscard]] bool lacks_kube_rule(const State& state, Family family);
[[nodiscard]] bool lacks_kube_rule(const State& state);  // in any family

/// Remarks on them for the operator.
[[nodiscard]] std::vector<Warning> drop_warnings(const State& state);

}  // namespace nmanager::reconciler
