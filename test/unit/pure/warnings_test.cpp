// Problems that disable the part of the rules for pods.
#include "plugin/reconciler/warnings.h"

#include <doctest/doctest.h>

#include "plugin/reconciler/step.h"
#include "plugin/reconciler/wants.h"
#include "plugin/services/decode.h"

namespace nmanager::test {
using namespace nmanager::reconciler;
using namespace nmanager::services;
namespace {

State in_mode(ProxyMode mode) {
  State state = initial_state(Settings{}, {});
  state.mode.mode = mode;
  return state;
}

std::string all(const State& state) {
  std::string text;
  for (const Warning& warning : pod_warnings(state)) {
    text += std::string(to_string(warning.code)) + ": " + warning.text + '\n';
  }
  return text;
}

bool contains(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a pod CIDR that does not cover this node's podCIDR") {
  State state = in_mode(ProxyMode::kIpvs);
  state.settings.pod_cidr_ipv4 = {Prefix::parse("10.244.0.0/16"), Origin::kFlag};
  state.settings.pod_cidr_ipv6 = {Prefix::parse("fd44::/48"), Origin::kKubeProxyConfig};
  CHECK(all(state).empty());
  state.node_pod_cidrs =
      std::vector{*Prefix::parse("10.244.3.0/24"), *Prefix::parse("fd44:0:0:3::/64")};
  CHECK(all(state).empty());
  state.node_pod_cidrs = std::vector{*Prefix::parse("10.245.3.0/24"), *Prefix::parse("fd45::/64")};
  CHECK(contains(all(state), "10.244.0.0/16 does not cover this node's podCIDR 10.245.3.0/24"));
  CHECK(contains(all(state), "fd44::/48 does not cover"));
  CHECK(warnings_of(state).size() == 2);
  state.settings.pod_cidr_ipv6 = {};
  CHECK(contains(all(state), "no IPv6 pod CIDR is set (POD_CIDR_IPV6)"));
  // Without rules for traffic of pods there is no warning.
  state.mode.mode = ProxyMode::kIptables;
  CHECK(all(state).empty());
  state.mode.mode = ProxyMode::kIpvs;
  state.settings.external_cluster.value = Switch::kOff;
  CHECK(all(state).empty());
}

TEST_CASE("kube-proxy detects pods by another method than the cluster CIDR") {
  State state = in_mode(ProxyMode::kIpvs);
  state.settings.detect_local_mode = "ClusterCIDR";
  CHECK(all(state).starts_with("pod_cidr_missing"));
  state.settings.detect_local_mode = "BridgeInterface";
  CHECK(all(state).starts_with("pod_cidr_missing: HALF OF PROBLEM 2 IS NOT CURED"));
  state.settings.pod_cidr_ipv4 = {Prefix::parse("10.244.0.0/16"), Origin::kKubeProxyConfig};
  CHECK(contains(all(state), "pod_detection"));
  CHECK(contains(all(state), "detectLocalMode BridgeInterface"));
  CHECK(contains(all(state), "pods in 10.244.0.0/16 are covered"));
  // The operator has set the addresses of pods.
  state.settings.pod_cidr_ipv4.origin = Origin::kEnvironment;
  CHECK(all(state).empty());
  state.settings.pod_cidr_ipv4.origin = Origin::kKubeProxyConfig;
  state.mode.mode = ProxyMode::kNftables;
  CHECK(all(state).empty());
}

TEST_CASE("the podCIDRs of a Node") {
  const auto decoded = [](const std::string& text) {
    const auto cidrs = decode_node_pod_cidrs(text);
    if (!cidrs) return std::string("error");
    std::string list;
    for (const Prefix& one : *cidrs) list += to_string(one) + " ";
    return list;
  };
  const auto cidrs = [&](const std::string& node) {
    return decoded(R"({"kind":"NodeList","items":[)" + node + "]}");
  };
  CHECK(cidrs(R"({"spec":{"podCIDR":"10.1.2.0/24","podCIDRs":["10.1.2.0/24","fd00:1::/64"]}})") ==
        "10.1.2.0/24 fd00:1::/64 ");
  CHECK(cidrs(R"({"spec":{"podCIDR":"10.1.2.0/24"}})") == "10.1.2.0/24 ");
  CHECK(cidrs(R"({"spec":{"podCIDRs":["?",7,"10.0.0.0/8"]}})") == "10.0.0.0/8 ");
  CHECK(cidrs(R"({"spec":{}})").empty());
  CHECK(cidrs("{}").empty());
  for (const char* bad : {"", "7", "[]"}) CHECK(cidrs(bad) == "error");
  for (const char* bad : {"", "{", "[]", "7", R"({"kind":"Status"})", R"({"kind":"NodeList"})"}) {
    CHECK(decoded(bad) == "error");
  }
}

}  // namespace nmanager::test
