#include "plugin/model/skip_reason.h"

#include <algorithm>

namespace nmanager {

std::string_view to_string(SkipReason reason) {
  switch (reason) {
    case SkipReason::kExternalName:
      return "external_name";
    case SkipReason::kHeadless:
      return "headless";
    case SkipReason::kNoExternalAddress:
      return "no_external_address";
    case SkipReason::kPending:
      return "pending";
    case SkipReason::kHostnameOnly:
      return "hostname_only";
    case SkipReason::kIpModeProxy:
      return "ip_mode_proxy";
    case SkipReason::kExternalPolicyCluster:
      return "external_policy_cluster";
    case SkipReason::kInternalPolicyLocal:
      return "internal_policy_local";
    case SkipReason::kNoClusterIpOfFamily:
      return "no_cluster_ip_of_family";
    case SkipReason::kUnusableAddress:
      return "unusable_address";
    case SkipReason::kNoPorts:
      return "no_ports";
    case SkipReason::kSourceRanges:
      return "source_ranges";
    case SkipReason::kMalformed:
      return "malformed";
    case SkipReason::kConflict:
      return "conflict";
    case SkipReason::kTooLarge:
      return "too_large";
    case SkipReason::kApiServer:
      return "api_server";
  }
  return "?";
}

std::optional<SkipReason> skip_reason(std::string_view name) {
  const auto found = std::ranges::find_if(
      kSkipReasons, [&](SkipReason reason) { return to_string(reason) == name; });
  return found == kSkipReasons.end() ? std::nullopt : std::optional(*found);
}

std::string_view in_words(SkipReason reason) {
  switch (reason) {
    case SkipReason::kExternalName:
      return "type ExternalName, it has no address";
    case SkipReason::kHeadless:
      return "headless, it has no ClusterIP to translate to";
    case SkipReason::kNoExternalAddress:
      return "no external address";
    case SkipReason::kPending:
      return "its load balancer has no address yet";
    case SkipReason::kHostnameOnly:
      return "a load balancer known by host name only";
    case SkipReason::kIpModeProxy:
      return "ipMode is Proxy, traffic goes to the load balancer on purpose";
    case SkipReason::kExternalPolicyCluster:
      return "externalTrafficPolicy is Cluster, kube-proxy reaches it by itself";
    case SkipReason::kInternalPolicyLocal:
      return "internalTrafficPolicy is Local, the ClusterIP would be a black hole";
    case SkipReason::kNoClusterIpOfFamily:
      return "no ClusterIP of the address' family";
    case SkipReason::kUnusableAddress:
      return "an address that is unspecified, loopback, link-local, multicast or the ClusterIP";
    case SkipReason::kNoPorts:
      return "no ports";
    case SkipReason::kSourceRanges:
      return "loadBalancerSourceRanges allow no source inside the cluster";
    case SkipReason::kMalformed:
      return "a field that decides is malformed";
    case SkipReason::kConflict:
      return "another Service has the address, protocol and port already";
    case SkipReason::kTooLarge:
      return "its addresses times source ranges times ports are more than one Service may have";
    case SkipReason::kApiServer:
      return "the address and port of the API server, which a rule would cut this node off from";
  }
  return "?";
}

}  // namespace nmanager
