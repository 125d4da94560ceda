// Which UDP flows a change of a nat table of ours leaves with a stale translation. Pure.
//
// nat rules see only the first packet of a flow; what they decided stays in its conntrack entry
// until nothing was sent for a while. A rule that comes, goes or changes is therefore not obeyed by
// flows that go on, unless their entries are deleted.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <set>

#include "hooks/plan/desired.h"
#include "hooks/plan/observed.h"
#include "hooks/plan/plan.h"
#include "hooks/values/address.h"

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

/// The change that `plan`, made from the other two, brings. While a jump on the way to the rules
/// was missing none of them was obeyed: then `after` holds all, and `before` what stood in vain.
[[nodiscard]] UdpChange udp_change(const DesiredTable& desired, const ObservedTable& observed,
                                   const TablePlan& plan);

/// A conntrack entry, as far as it tells how the flow is translated.
struct UdpFlow {
  Address source;
  bool source_is_local = false;
  Address destination;
  std::uint16_t port = 0;
  /// A nat rule has changed its destination (IPS_DST_NAT). What IPVS does to a flow with
  /// net.ipv4.vs.conntrack does not count: it rewrites the reply tuple alone
  /// (ip_vs_update_conntrack in net/netfilter/ipvs/ip_vs_nfct.c).
  bool translated = false;
  /// Whose answers are expected: where the rule sent the flow, or the endpoint that IPVS has chosen
  /// behind that.
  Address reply_source;
};

/// The entry is not what the rules of now would make of the flow:
///  - a rule stands for it, and it was not translated;
///  - none stands any more, one did, and it was translated;
///  - the rule sends it elsewhere than the one before. Behind IPVS the entry does not hold the
///    address that it was sent to, so there a flow that began in the moments between the commit and
///    this look counts as stale, too: it begins anew, to the same endpoint.
/// A flow that no rule of either set applies to, as one from outside, never is.
[[nodiscard]] bool is_stale(const UdpChange& change, const UdpFlow& flow);

}  // namespace nmanager
