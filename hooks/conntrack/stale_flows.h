// Finds the conntrack entries of UDP flows whose translation a change of a nat table makes stale.
// Pure.
#pragma once

#include <cstdint>

#include "hooks/intent/udp_change.h"
#include "hooks/values/address.h"

namespace nmanager::conntrack {

/// The parts of a conntrack entry that describe how the flow is translated, from the client's view.
struct UdpFlow {
  Address source;
  bool source_is_local = false;
  Address destination;
  std::uint16_t port = 0;
  /// A nat rule has changed its destination (IPS_DST_NAT). False for the translation by IPVS with
  /// net.ipv4.vs.conntrack, which rewrites only the reply tuple (ip_vs_update_conntrack in
  /// net/netfilter/ipvs/ip_vs_nfct.c).
  bool translated = false;
  /// The source of the expected replies: the address that the rule sent the flow to, or the
  /// endpoint that IPVS chose for that address.
  Address reply_source;
};

/// True when the present rules would translate the flow differently:
///  - a rule applies to the flow, and the flow was not translated;
///  - no rule applies any more but one did before, and the flow was translated;
///  - the rule sends the flow to another address than the rule before. With IPVS the entry does not
///    contain the address that the flow was sent to, so a flow that began between the commit and
///    this check also counts as stale: it starts again, to the same endpoint.
/// A flow to which no rule of either set applies, such as a flow from outside the node, is never
/// stale.
[[nodiscard]] bool is_stale(const UdpChange& change, const UdpFlow& flow);

}  // namespace nmanager::conntrack
