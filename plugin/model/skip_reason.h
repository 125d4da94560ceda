// Why Services have no rules.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace nmanager {

/// Why a Service or one of its addresses gets no rules; names of the metric label `reason`.
enum class SkipReason : std::uint8_t {
  kExternalName,           // type ExternalName: no address at all
  kHeadless,               // clusterIP None
  kNoExternalAddress,      // neither a load balancer nor externalIPs
  kPending,                // the load balancer has no address yet
  kHostnameOnly,           // an ingress entry with a host name and no ip
  kIpModeProxy,            // ipMode is not VIP: traffic goes to the load balancer on purpose
  kExternalPolicyCluster,  // kube-proxy masquerades it itself: no rule needed
  kInternalPolicyLocal,    // the ClusterIP would be a black hole
  kNoClusterIpOfFamily,
  kUnusableAddress,  // unspecified, loopback, link-local, multicast
  kNoPorts,
  kSourceRanges,  // loadBalancerSourceRanges leave nobody inside who may use it
  kMalformed,     // a field that decides could not be read
  kConflict,      // another Service has this address, protocol and port already
  kTooLarge,      // more rules than one Service may cost a node
  kApiServer,     // the API server's own address and port: a rule would cut the node off from it
};
inline constexpr std::array kSkipReasons{SkipReason::kExternalName,
                                         SkipReason::kHeadless,
                                         SkipReason::kNoExternalAddress,
                                         SkipReason::kPending,
                                         SkipReason::kHostnameOnly,
                                         SkipReason::kIpModeProxy,
                                         SkipReason::kExternalPolicyCluster,
                                         SkipReason::kInternalPolicyLocal,
                                         SkipReason::kNoClusterIpOfFamily,
                                         SkipReason::kUnusableAddress,
                                         SkipReason::kNoPorts,
                                         SkipReason::kSourceRanges,
                                         SkipReason::kMalformed,
                                         SkipReason::kConflict,
                                         SkipReason::kTooLarge,
                                         SkipReason::kApiServer};
[[nodiscard]] std::string_view to_string(SkipReason reason);  // "external_name", ...
[[nodiscard]] std::optional<SkipReason> skip_reason(std::string_view name);
/// The reason as text, for `nmanager status`.
[[nodiscard]] std::string_view in_words(SkipReason reason);

}  // namespace nmanager
