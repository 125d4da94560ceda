// What a change of a nat table means for flows of UDP. Pure.
//
// nat rules see only the first packet of a flow; what they decided stays in its conntrack entry
// until nothing was sent for a while. A rule that comes, goes or changes is therefore not obeyed by
// flows that go on, unless their entries are deleted.
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
  std::optional<Prefix> source;  // nothing: any
  bool source_is_local = false;  // of the node itself; else what the node forwards
  Address to;
  auto operator<=>(const UdpRule&) const = default;
};
using UdpRules = std::set<UdpRule>;

/// What a commit changes: rules that stood, and rules that stand now.
struct UdpChange {
  UdpRules before;
  UdpRules after;
  [[nodiscard]] bool empty() const { return before.empty() && after.empty(); }
};

}  // namespace nmanager
