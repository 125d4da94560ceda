// What stands in the kernel of this network namespace and tells something about kube-proxy and the
// pods.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hooks/values/address.h"

namespace nmanager::neighbour {

/// A route to pods of this node: without a gateway, over a device as network plug-ins make them.
struct PodRoute {
  Prefix prefix;
  std::string device;
  auto operator<=>(const PodRoute&) const = default;
};

/// Nothing = could not tell.
struct KernelEvidence {
  std::optional<bool> ipvs_device;   // kube-ipvs0 exists: kube-proxy is or was in IPVS mode
  std::optional<bool> kube_chains;   // KUBE-SERVICES stands in nat: iptables or IPVS mode
  std::optional<bool> nft_table;     // table kube-proxy: nftables mode
  std::optional<bool> be_liberal;    // nf_conntrack_tcp_be_liberal; no conntrack: could not tell
  std::vector<PodRoute> pod_routes;  // sorted; at most kMaxPodRoutes
  bool pod_routes_complete = false;  // false: the routes could not be read, or there are more
};

inline constexpr std::size_t kMaxPodRoutes = 256;

/// Looks at device, sysctl and routes of the calling thread's network namespace. `kube_chains` and
/// `nft_table` are left open: the backends know them.
[[nodiscard]] KernelEvidence gather_kernel_evidence();

/// True for names that network plug-ins give the pods' devices: cni*, cali*, veth*, lxc* and so on.
[[nodiscard]] bool is_pod_device(std::string_view name);

/// The pods' routes that no given block covers, of the families for which one is given. Pure.
[[nodiscard]] std::vector<PodRoute> uncovered_routes(const std::vector<PodRoute>& routes,
                                                     const std::optional<Prefix>& pod_cidr_ipv4,
                                                     const std::optional<Prefix>& pod_cidr_ipv6);

}  // namespace nmanager::neighbour
