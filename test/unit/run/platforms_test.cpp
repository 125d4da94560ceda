// No warnings in a healthy set-up of docs/platforms.md, with each platform's form of kube-proxy's
// configuration.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "plugin/reconciler/step.h"
#include "plugin/reconciler/warnings.h"
#include "plugin/settings/load.h"
#include "plugin/settings/merge.h"

namespace nmanager::test {
namespace {

const std::string kHead =
    "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n";

struct Platform {
  const char* name;
  std::string config;  // empty: there is no file
  settings::Environment environment;
  ProxyMode mode;
};

const settings::Environment kStandalone{
    {"POD_CIDR_IPV4", "10.42.0.0/16"},          {"POD_CIDR_IPV6", ""},
    {"NMANAGER_READY_WHEN", "rules"},           {"NODE_NAME", "node-1"},
    {"RULE_DROP_INVALID_INPUT_ENABLE", "true"}, {"RULE_EXTERNAL_CLUSTER_ENABLE", "auto"}};

settings::Environment without_cidr() {
  settings::Environment environment = kStandalone;
  environment.erase("POD_CIDR_IPV4");
  return environment;
}

const std::vector<Platform> kPlatforms{
    // kubeadm's config.conf, as in its ConfigMap.
    {"kubeadm",
     kHead + "clientConnection: {kubeconfig: /var/lib/kube-proxy/kubeconfig.conf}\n"
             "clusterCIDR: 10.244.0.0/16\nconfigSyncPeriod: 0s\nconntrack: {maxPerCore: null}\n"
             "detectLocalMode: \"\"\nmetricsBindAddress: \"\"\nmode: \"\"\n",
     {},
     ProxyMode::kIptables},
    {"kubeadm, IPVS",
     kHead + "clusterCIDR: 10.244.0.0/16,fd44::/48\nmode: ipvs\n",
     {},
     ProxyMode::kIpvs},
    // The ConfigMap kube-proxy-config of the EKS add-on: no clusterCIDR.
    {"EKS",
     kHead + "bindAddress: 0.0.0.0\nclientConnection: {kubeconfig: /var/lib/kube-proxy/kubeconfig, "
             "qps: 5}\nclusterCIDR: \"\"\nconntrack: {maxPerCore: 32768, tcpBeLiberal: false}\n"
             "iptables: {masqueradeAll: false, masqueradeBit: 14, syncPeriod: 30s}\n"
             "ipvs: {scheduler: \"\"}\nmetricsBindAddress: 0.0.0.0:10249\nmode: iptables\n",
     without_cidr(), ProxyMode::kIptables},
    {"EKS, stand-alone", "", without_cidr(), ProxyMode::kIptables},
    {"EKS, IPVS", kHead + "clusterCIDR: \"\"\nmode: ipvs\n", kStandalone, ProxyMode::kIpvs},
    // Only flags of kube-proxy, no file that nmanager could read.
    {"AKS, GKE, kOps", "", without_cidr(), ProxyMode::kIptables},
    {"AKS, nftables", "", kStandalone, ProxyMode::kNftables},
    {"k3s, RKE2", "", kStandalone, ProxyMode::kIptables},
    {"k3s, IPVS", "", kStandalone, ProxyMode::kIpvs},
    {"Talos", "", kStandalone, ProxyMode::kNftables},
    // openshift-kube-proxy's config of other network plug-ins.
    {"OpenShift",
     kHead +
         "bindAddress: 0.0.0.0\nclientConnection: {kubeconfig: \"\"}\nclusterCIDR: 10.128.0.0/14\n"
         "iptables: {masqueradeBit: 0, minSyncPeriod: 0s}\nmetricsBindAddress: 0.0.0.0:29102\n"
         "mode: iptables\n",
     {},
     ProxyMode::kIptables},
    // Other methods of kube-proxy to detect pods, confirmed by the operator.
    {"detectLocalMode", kHead + "detectLocalMode: NodeCIDR\nmode: ipvs\n", kStandalone,
     ProxyMode::kIpvs},
};

}  // namespace

TEST_CASE("no warning on a healthy platform") {
  for (const Platform& platform : kPlatforms) {
    CAPTURE(std::string(platform.name));
    const char* const argv[] = {"nmanager", "run"};
    const auto own = settings::parse_settings(2, argv, platform.environment);
    REQUIRE(own.ok());
    settings::KubeProxyFiles files;
    if (!platform.config.empty()) {
      files.config = settings::parse_kube_proxy_config(platform.config);
      REQUIRE(files.config.ok());
      files.missing = files.config->kubeconfig;
    }
    for (const bool liberal : {false, true}) {
      reconciler::State state =
          reconciler::initial_state(settings::merge_kube_proxy_files(*own, files), {});
      std::vector<Event> events;
      events.emplace_back(ModeKnown{platform.mode, "test", ""});
      events.emplace_back(ConntrackKnown{liberal});
      (void)step(state, std::move(events), {});
      for (const Warning& warning : reconciler::warnings_of(state)) {
        CHECK_MESSAGE(false, to_string(warning.code) << ": " << warning.text);
      }
    }
  }
}

TEST_CASE("a missing pod CIDR in IPVS mode is the first warning") {
  const char* const argv[] = {"nmanager", "run"};
  settings::Environment environment = without_cidr();
  environment["NMANAGER_KUBE_PROXY_CONFIG"] = "/somewhere";
  const auto own = settings::parse_settings(2, argv, environment);
  REQUIRE(own.ok());
  reconciler::State state =
      reconciler::initial_state(settings::merge_kube_proxy_files(*own, {}), {});
  state.mode.mode = ProxyMode::kIpvs;
  const auto warnings = reconciler::warnings_of(state);
  REQUIRE(warnings.size() == 2);
  CHECK(warnings[0].code == WarningCode::kPodCidrMissing);
  CHECK(warnings[1].code == WarningCode::kConfigUnreadable);
}

}  // namespace nmanager::test
