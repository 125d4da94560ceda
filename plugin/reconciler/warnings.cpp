#include "plugin/reconciler/warnings.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "plugin/reconciler/drops.h"
#include "plugin/reconciler/wants.h"

namespace nmanager::reconciler {

namespace {

std::string variable(Family family) {
  return family == Family::kIpv4 ? "POD_CIDR_IPV4" : "POD_CIDR_IPV6";
}

/// The operator has set the addresses of pods.
bool set_by_operator(const Settings& settings) {
  return std::ranges::any_of(kFamilies, [&](Family family) {
    const auto& cidr = pod_cidr(settings, family);
    return cidr.value && cidr.origin >= Origin::kEnvironment;
  });
}

/// kube-proxy may detect pods by other methods than the cluster CIDR; we cannot.
void warn_of_local_detection(const State& state, std::vector<Warning>& warnings) {
  const Settings& settings = state.settings;
  const std::string& mode = settings.detect_local_mode;
  if (mode.empty() || mode == "ClusterCIDR" || set_by_operator(settings)) return;
  std::string known;
  for (const Family family : kFamilies) {
    const auto& cidr = pod_cidr(settings, family).value;
    if (cidr) known += (known.empty() ? "" : " and ") + to_string(*cidr);
  }
  if (known.empty()) return;  // there is a separate warning for this
  warnings.push_back({WarningCode::kPodDetection,
                      "kube-proxy knows pods by detectLocalMode " + mode +
                          ", nmanager by their address: pods in " + known +
                          " are covered; set POD_CIDR_IPV4 / POD_CIDR_IPV6 if this node has "
                          "others, or to these to confirm them"});
}

void warn_of_node(const Settings& settings, const Prefix& node, std::vector<Warning>& warnings) {
  const auto& cidr = pod_cidr(settings, node.family());
  if (!cidr.value) {
    warnings.push_back({WarningCode::kPodCidrMissing,
                        "this node's pods are in " + to_string(node) + " (podCIDR), but no " +
                            std::string(to_string(node.family())) + " pod CIDR is set (" +
                            variable(node.family()) +
                            "): they do not get the external-cluster rules of that family"});
  } else if (!cidr.value->contains(node)) {
    warnings.push_back({WarningCode::kPodCidrWrong,
                        "the pod CIDR " + to_string(*cidr.value) +
                            " does not cover this node's podCIDR " + to_string(node) +
                            ": pods outside it do not get the external-cluster rules; set " +
                            variable(node.family())});
  }
}

void warn_of_mode(const State& state, std::vector<Warning>& warnings) {
  const Switch wanted = state.settings.external_cluster.value;
  if (wanted == Switch::kOn && state.mode.mode && *state.mode.mode != ProxyMode::kIpvs) {
    warnings.push_back(
        {WarningCode::kExternalClusterRefused,
         "RULE_EXTERNAL_CLUSTER_ENABLE=true is not obeyed: kube-proxy is not in IPVS mode, and "
         "there the rules would be a black hole for the external addresses"});
  }
  if (wanted != Switch::kOff && !state.mode.mode) {
    warnings.push_back({WarningCode::kProxyModeUnknown,
                        "kube-proxy's mode is not known" +
                            (state.mode.note.empty() ? "" : " (" + state.mode.note + ")") +
                            ": the external-cluster rules stay as they are"});
  }
}

}  // namespace

std::vector<Warning> pod_warnings(const State& state) {
  std::vector<Warning> warnings;
  if (!external_cluster_on(state)) return warnings;
  const Settings& settings = state.settings;
  if (!knows_pod_cidr(settings)) {
    warnings.push_back(
        {WarningCode::kPodCidrMissing,
         "HALF OF PROBLEM 2 IS NOT CURED: no pod CIDR is known (POD_CIDR_IPV4, POD_CIDR_IPV6, or "
         "clusterCIDR in kube-proxy's configuration), so pods do not get the external-cluster "
         "rules, only the node itself does"});
    return warnings;
  }
  warn_of_local_detection(state, warnings);
  for (const Prefix& node : state.node_pod_cidrs.value_or(std::vector<Prefix>{})) {
    warn_of_node(settings, node, warnings);
  }
  return warnings;
}

std::vector<Warning> warnings_of(const State& state) {
  std::vector<Warning> warnings = state.settings.notes;
  warn_of_mode(state, warnings);
  for (Warning& warning : pod_warnings(state)) warnings.push_back(std::move(warning));
  for (Warning& warning : drop_warnings(state)) warnings.push_back(std::move(warning));
  if (!state.backend.note.empty()) {
    warnings.push_back({WarningCode::kBackend, state.backend.note});
  }
  if (services_wanted(state)) {
    for (const std::string& text : state.api.warnings) {
      warnings.push_back({WarningCode::kApiInsecure, text});
    }
  }
  for (const TableState& table : state.tables) {
    if (!table.status.contested) continue;
    warnings.push_back({WarningCode::kContested,
                        to_string(table.id) + ": " +
                            (table.status.rival.empty() ? "another agent" : table.status.rival) +
                            " keeps undoing our chains; repairs are spaced out"});
  }
  std::ranges::stable_sort(warnings, {}, &Warning::code);
  return warnings;
}

void log_warnings(State& state, std::vector<Action>& actions) {
  if (!state.mode.mode && state.mode.note.empty()) return;
  std::set<Warning> shown;
  for (Warning& warning : warnings_of(state)) {
    if (!state.warned.contains(warning)) {
      actions.emplace_back(LogLine{LogLine::Level::kWarning, warning.text});
    }
    shown.insert(std::move(warning));
  }
  state.warned = std::move(shown);
}

}  // namespace nmanager::reconciler
