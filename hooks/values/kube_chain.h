// The chains that kube-proxy and kubelet create, in iptables mode and in IPVS mode
// (pkg/proxy/iptables, pkg/proxy/ipvs and pkg/kubelet/kubelet_network_linux.go in Kubernetes 1.20
// to 1.36). Other chains that begin with "KUBE-" belong to other programs: kube-router's
// KUBE-ROUTER-*, KUBE-POD-FW-*, KUBE-NWPLCY-*. Pure.
#pragma once

#include <array>
#include <string_view>

namespace nmanager {

inline constexpr std::string_view kKubeServices = "KUBE-SERVICES";
inline constexpr std::string_view kKubeMarkMasq = "KUBE-MARK-MASQ";
inline constexpr std::string_view kKubeForward = "KUBE-FORWARD";  // filter

/// The chains that kube-proxy rewrites in nat at every sync.
inline constexpr std::array kKubeRewrittenChains{kKubeServices, std::string_view("KUBE-NODEPORTS"),
                                                 std::string_view("KUBE-POSTROUTING"),
                                                 kKubeMarkMasq};

/// Created in mangle by kubelet (the first two) and kube-proxy, which use them to detect a flush.
inline constexpr std::array<std::string_view, 3> kKubeHintChains{
    "KUBE-IPTABLES-HINT", "KUBE-KUBELET-CANARY", "KUBE-PROXY-CANARY"};

[[nodiscard]] bool is_kube_chain(std::string_view name);

}  // namespace nmanager
