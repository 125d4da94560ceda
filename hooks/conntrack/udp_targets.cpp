#include "hooks/conntrack/udp_targets.h"

namespace nmanager {

UdpTargets udp_targets(const DesiredTable& table) {
  UdpTargets targets;
  for (const auto& [chain, rules] : table.chains) {
    for (const Rule& rule : rules) {
      const auto* dnat = std::get_if<Dnat>(&rule.target);
      const bool udp = rule.protocol == Protocol::kUdp || rule.protocol == Protocol::kAny;
      if (dnat == nullptr || !udp || !rule.destination) continue;
      const Address& external = rule.destination->address();
      if (rule.destination_ports.empty()) targets[{external, {0, 65535}}] = dnat->to;
      for (const PortRange& ports : rule.destination_ports) {
        targets[{external, ports}] = dnat->to;
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
