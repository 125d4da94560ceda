#include "hooks/conntrack/udp_targets.h"

namespace nmanager {

UdpTargets udp_targets(const TableSpec& spec) {
  UdpTargets targets;
  const auto* external = std::get_if<ExternalCluster>(&spec);
  if (external == nullptr) return targets;
  for (const ExternalAddress& address : external->addresses) {
    if (external->settings.match == MatchBy::kAddress) {
      targets[{address.external, {0, 65535}}] = address.cluster;
      continue;
    }
    for (const ExternalAddress::Ports& ports : address.ports) {
      if (ports.protocol != Protocol::kUdp) continue;
      for (const std::uint16_t port : ports.ports) {
        targets[{address.external, {port, port}}] = address.cluster;
      }
    }
  }
  return targets;
}

std::set<UdpTarget> changed_targets(const UdpTargets& before, const UdpTargets& after) {
  std::set<UdpTarget> changed;
  for (const auto& [target, to] : before) {
    const auto found = after.find(target);
    if (found == after.end() || found->second != to) changed.insert(target);
  }
  for (const auto& [target, to] : after) {
    if (!before.contains(target)) changed.insert(target);
  }
  return changed;
}

}  // namespace nmanager
