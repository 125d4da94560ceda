// Which UDP traffic a nat table of ours translates, and to where. Pure.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <set>

#include "hooks/rules/table_spec.h"
#include "hooks/values/address.h"

namespace nmanager {

/// Packets of UDP to these ports of an address. 0..65535: any port.
struct UdpTarget {
  Address external;
  PortRange ports;
  auto operator<=>(const UdpTarget&) const = default;
};

using UdpTargets = std::map<UdpTarget, Address>;  // -> where they are sent

[[nodiscard]] UdpTargets udp_targets(const TableSpec& spec);

/// What is new, gone, or sent elsewhere. Flows to these have conntrack entries that keep sending
/// their packets the old way, since nat rules see only the first packet of a flow.
[[nodiscard]] std::set<UdpTarget> changed_targets(const UdpTargets& before,
                                                  const UdpTargets& after);

}  // namespace nmanager
