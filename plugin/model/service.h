// A Kubernetes Service, reduced to the fields that affect rules. One is kept for every Service of
// the cluster, so it is small: 10,000 of them have to fit into a few MiB.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

#include "hooks/values/address.h"
#include "hooks/values/service_port.h"

namespace nmanager {

struct LoadBalancerIngress {
  Address ip;
  bool vip = true;  // ipMode absent or "VIP"
  auto operator<=>(const LoadBalancerIngress&) const = default;
};

enum class ServiceType : std::uint8_t { kClusterIp, kNodePort, kLoadBalancer, kExternalName };

/// The cluster address of each family that has one.
class ClusterIps {
 public:
  ClusterIps() = default;
  ClusterIps(std::initializer_list<Address> all) {
    for (const Address& address : all) add(address);
  }
  /// Of two of a family the first counts.
  void add(const Address& address) {
    auto& place = by_family_[static_cast<std::size_t>(address.family())];
    if (!place) place = address;
  }
  [[nodiscard]] const std::optional<Address>& of(Family family) const {
    return by_family_[static_cast<std::size_t>(family)];
  }
  bool operator==(const ClusterIps&) const = default;

 private:
  std::array<std::optional<Address>, kFamilies.size()> by_family_;
};

struct Service {
  std::string key;  // "namespace/name"
  ServiceType type = ServiceType::kClusterIp;
  bool external_policy_local = false;
  bool internal_policy_local = false;
  bool headless = false;                     // clusterIP "None"
  std::uint8_t ingress_without_ip = 0;       // hostname-only ingress entries, saturating
  ClusterIps cluster_ips;                    // spec.clusterIPs, else spec.clusterIP
  std::vector<LoadBalancerIngress> ingress;  // entries with an ip
  std::vector<Address> external_ips;         // spec.externalIPs
  std::vector<Prefix> source_ranges;         // spec.loadBalancerSourceRanges
  std::vector<ServicePort> ports;            // sorted, unique
  std::vector<std::string> malformed;  // fields that could not be read, e.g. "spec.externalIPs[1]"

  bool operator==(const Service&) const = default;
};

}  // namespace nmanager
