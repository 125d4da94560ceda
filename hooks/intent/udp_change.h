// The effects of a change of a nat table on UDP flows. Pure.
//
// nat rules see only the first packet of a flow; their decision stays in its conntrack entry until
// the flow is idle for a while. A new, removed or changed rule therefore has no effect on existing
// flows unless their entries are deleted.
#pragma once

#include <compare>
#include <optional>
#include <set>

#include "hooks/values/address.h"
#include "hooks/values/rule.h"

namespace nmanager {

/// UDP to these ports of an external address is sent to `to`. 0..65535: any port.
struct UdpRule {
  Address external;  // first: the order of a set of rules is by address
  PortRange ports;
  std::optional<Prefix> source;  // nullopt: any
  bool source_is_local = false;  // of the node itself; else forwarded traffic
  Address to;
  auto operator<=>(const UdpRule&) const = default;
};
using UdpRules = std::set<UdpRule>;

/// The change of a commit: rules before and after it.
struct UdpChange {
  UdpRules before;
  UdpRules after;
  [[nodiscard]] bool empty() const { return before.empty() && after.empty(); }
};

}  // namespace nmanager
