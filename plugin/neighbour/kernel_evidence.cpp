#include "plugin/neighbour/kernel_evidence.h"

#include <net/if.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "hooks/sys/small_file.h"
#include "hooks/values/text.h"
#include "plugin/neighbour/routes.h"

namespace nmanager::neighbour {

namespace {

std::optional<bool> device_exists(const char* name) {
  if (::if_nametoindex(name) != 0) return true;
  if (errno == ENODEV) return false;
  return std::nullopt;
}

std::optional<bool> read_be_liberal() {
  // /proc/sys/net shows the network namespace of the process that opens it.
  const auto text = sys::read_small_file("/proc/sys/net/netfilter/nf_conntrack_tcp_be_liberal", 64);
  if (!text) return std::nullopt;
  return trimmed(*text) != "0";
}

}  // namespace

KernelEvidence gather_kernel_evidence() {
  KernelEvidence evidence;
  evidence.ipvs_device = device_exists("kube-ipvs0");
  evidence.be_liberal = read_be_liberal();
  evidence.pod_routes_complete = true;
  for (const Family family : kFamilies) {
    if (!add_pod_routes(family, kMaxPodRoutes, evidence.pod_routes)) {
      evidence.pod_routes_complete = false;
    }
  }
  std::sort(evidence.pod_routes.begin(), evidence.pod_routes.end());
  return evidence;
}

bool is_pod_device(std::string_view name) {
  constexpr std::array<std::string_view, 8> kPrefixes{"cni", "cali", "veth", "lxc",
                                                      "azv", "eni",  "nic",  "kube-bridge"};
  return std::any_of(kPrefixes.begin(), kPrefixes.end(),
                     [&](std::string_view prefix) { return name.starts_with(prefix); });
}

std::vector<PodRoute> uncovered_routes(const std::vector<PodRoute>& routes,
                                       const std::optional<Prefix>& pod_cidr_ipv4,
                                       const std::optional<Prefix>& pod_cidr_ipv6) {
  std::vector<PodRoute> uncovered;
  for (const PodRoute& route : routes) {
    const auto& block = route.prefix.family() == Family::kIpv4 ? pod_cidr_ipv4 : pod_cidr_ipv6;
    if (block && !block->contains(route.prefix)) uncovered.push_back(route);
  }
  return uncovered;
}

}  // namespace nmanager::neighbour
