// The effects of a change of a nat table on UDP flows. Pure.
//
// nat rules see only the first packet of a flow; their decision stays in its conntrack entry until
// the flow is idle for a while. A new, removed or changed rule therefore has no effect on existing
// flows unless their entries are deleted.
#pragma once

#include <compare>
#include <optional>
#include <set>

#include "hooks/intent/table_spec.h"
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

/// Those of one external address. The effect is that of the rules of any backend.
[[nodiscard]] UdpRules udp_rules_of(const ExternalCluster& cluster, const Address& external);

/// Rules on one side of a commit: some, and those of a whole cluster, which are too many to list.
struct UdpSide {
  UdpRules rules = {};
  std::optional<ExternalCluster> all = {};

  [[nodiscard]] bool empty() const { return rules.empty() && !all; }
  [[nodiscard]] UdpRules at(const Address& external) const;
  /// One of `rules` is about it.
  [[nodiscard]] bool lists(const Address& external) const;
  /// May be true of an address that has only TCP.
  [[nodiscard]] bool may_have(const Address& external) const;
  /// Sets `all`, unless no rule of it is about UDP.
  void set_all(const ExternalCluster& cluster);
};

/// The change of a commit: rules before and after it.
struct UdpChange {
  UdpSide before = {};
  UdpSide after = {};
  [[nodiscard]] bool empty() const { return before.empty() && after.empty(); }
  /// The one external address that it speaks of; nullopt: none, or several.
  [[nodiscard]] std::optional<Address> only_external() const;
};

}  // namespace nmanager
