#include "plugin/reconciler/diagnosis.h"

#include <algorithm>

#include "plugin/reconciler/wants.h"

namespace nmanager::reconciler {

namespace {

const Setting<std::optional<Prefix>>& pod_cidr(const Settings& settings, Family family) {
  return family == Family::kIpv4 ? settings.pod_cidr_ipv4 : settings.pod_cidr_ipv6;
}

std::string variable(Family family) {
  return family == Family::kIpv4 ? "POD_CIDR_IPV4" : "POD_CIDR_IPV6";
}

/// kube-proxy may tell pods otherwise than by cluster CIDR; we cannot.
void warn_of_local_detection(const Settings& settings, std::vector<std::string>& warnings) {
  const std::string& mode = settings.detect_local_mode;
  if (mode.empty() || mode == "ClusterCIDR") return;
  std::string known;
  for (const Family family : kFamilies) {
    const auto& cidr = pod_cidr(settings, family).value;
    if (cidr) known += (known.empty() ? "" : " and ") + to_string(*cidr);
  }
  warnings.push_back(
      "kube-proxy tells pods by detectLocalMode " + mode +
      ", the external-cluster rules tell them by source address: " +
      (known.empty() ? "without POD_CIDR_IPV4 / POD_CIDR_IPV6 there are none for pods"
                     : "they are for pods in " + known +
                           " only; set POD_CIDR_IPV4 / POD_CIDR_IPV6 if this node has others"));
}

void warn_of_node(const Settings& settings, const Prefix& node,
                  std::vector<std::string>& warnings) {
  const auto& cidr = pod_cidr(settings, node.family());
  if (!cidr.value) {
    warnings.push_back("this node's pods are in " + to_string(node) + " (podCIDR), but no " +
                       std::string(to_string(node.family())) + " pod CIDR is set (" +
                       variable(node.family()) +
                       "): they do not get the external-cluster rules of that family");
  } else if (!cidr.value->contains(node)) {
    warnings.push_back("the pod CIDR " + to_string(*cidr.value) +
                       " does not cover this node's podCIDR " + to_string(node) +
                       ": pods outside it do not get the external-cluster rules; set " +
                       variable(node.family()));
  }
}

}  // namespace

std::vector<std::string> pod_warnings(const State& state) {
  std::vector<std::string> warnings;
  if (!external_cluster_on(state)) return warnings;
  warn_of_local_detection(state.settings, warnings);
  const bool none = !state.settings.pod_cidr_ipv4.value && !state.settings.pod_cidr_ipv6.value;
  if (none) return warnings;  // which is a warning of its own
  for (const Prefix& node : state.node_pod_cidrs.value_or(std::vector<Prefix>{})) {
    warn_of_node(state.settings, node, warnings);
  }
  return warnings;
}

}  // namespace nmanager::reconciler
