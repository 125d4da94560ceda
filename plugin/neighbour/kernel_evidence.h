// The objects in this network namespace that give evidence of kube-proxy's mode and of the pods.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hooks/values/address.h"

namespace nmanager::neighbour {

/// A route to pods of this node: without a gateway, over a device that a network plug-in creates.
struct PodRoute {
  Prefix prefix;
  std::string device;
  auto operator<=>(const PodRoute&) const = default;
};

/// nullopt: could not be read.
struct KernelEvidence {
  std::optional<bool> ipvs_device;   // kube-ipvs0 exists: kube-proxy is or was in IPVS mode
  std::optional<bool> kube_chains;   // KUBE-SERVICES exists in nat: iptables or IPVS mode
  std::optional<bool> nft_table;     // table kube-proxy: nftables mode
  std::optional<bool> be_liberal;    // nf_conntrack_tcp_be_liberal; nullopt also without conntrack
  std::vector<PodRoute> pod_routes;  // sorted; at most kMaxPodRoutes
  bool pod_routes_complete = false;  // false: the routes could not be read, or there are more
};

inline constexpr std::size_t kMaxPodRoutes = 256;

/// Reads the device, sysctl and routes of the calling thread's network namespace. `kube_chains` and
/// `nft_table` are not set: the backends provide them.
[[nodiscard]] KernelEvidence gather_kernel_evidence();

/// True for the names that network plug-ins give to pod devices: cni*, cali*, veth*, lxc* and
/// others.
[[nodiscard]] bool is_pod_device(std::string_view name);

/// The pod routes that are outside the pod CIDR of their family; families without a pod CIDR are
/// skipped. Pure.
[[nodiscard]] std::vector<PodRoute> uncovered_routes(const std::vector<PodRoute>& routes,
                                                     const std::optional<Prefix>& pod_cidr_ipv4,
                                                     const std::optional<Prefix>& pod_cidr_ipv6);

}  // namespace nmanager::neighbour
