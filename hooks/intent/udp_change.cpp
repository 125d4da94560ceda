#include "hooks/intent/udp_change.h"

#include <algorithm>
#include <vector>

#include "hooks/intent/sources.h"

namespace nmanager {

namespace {

std::vector<PortRange> udp_ports(const ExternalAddress& entry, MatchBy match) {
  if (match == MatchBy::kAddress) return {{0, 65535}};
  std::vector<PortRange> ports;
  for (const auto& [protocol, port] : entry.ports) {
    if (protocol == Protocol::kUdp) ports.push_back({port, port});
  }
  return ports;
}

UdpRules::const_iterator first_of(const UdpRules& rules, const Address& external) {
  UdpRule least;
  least.external = external;
  return rules.lower_bound(least);
}

}  // namespace

UdpRules udp_rules_of(const ExternalCluster& cluster, const Address& external) {
  const auto& [pod_cidr, match, bit] = cluster.settings;
  UdpRules rules;
  for (const ExternalAddress& entry : cluster.addresses.at(external)) {
    for (const PortRange& ports : udp_ports(entry, match)) {
      for (const auto& source : sources_of(entry, std::nullopt)) {
        rules.insert({external, ports, source, true, entry.cluster});
      }
      if (!pod_cidr) continue;
      for (const auto& source : sources_of(entry, pod_cidr)) {
        rules.insert({external, ports, source, false, entry.cluster});
      }
    }
  }
  return rules;
}

UdpRules UdpSide::at(const Address& external) const {
  UdpRules some = all ? udp_rules_of(*all, external) : UdpRules();
  for (auto one = first_of(rules, external); one != rules.end() && one->external == external;
       ++one) {
    some.insert(*one);
  }
  return some;
}

bool UdpSide::lists(const Address& external) const {
  const auto one = first_of(rules, external);
  return one != rules.end() && one->external == external;
}

bool UdpSide::may_have(const Address& external) const {
  return lists(external) || (all && !all->addresses.at(external).empty());
}

void UdpSide::set_all(const ExternalCluster& cluster) {
  const ExternalAddresses& addresses = cluster.addresses;
  const bool any = cluster.settings.match == MatchBy::kAddress ? !addresses.empty()
                                                               : addresses.size_for_udp() > 0;
  if (any) all = cluster;
}

std::optional<Address> UdpChange::only_external() const {
  std::set<Address> addresses;
  for (const UdpSide* side : {&before, &after}) {
    if (side->all && side->all->addresses.size() > 1) return std::nullopt;
    if (side->all) addresses.insert(side->all->addresses.map().begin()->first);
    if (side->rules.empty()) continue;
    addresses.insert(side->rules.begin()->external);
    addresses.insert(side->rules.rbegin()->external);
  }
  if (addresses.size() != 1) return std::nullopt;
  return *addresses.begin();
}

}  // namespace nmanager
