// Which conntrack entries of UDP flows a change of a nat table leaves with a stale translation.
// Pure.
#pragma once

#include <cstdint>

#include "hooks/intent/udp_change.h"
#include "hooks/values/address.h"

namespace nmanager::conntrack {

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

}  // namespace nmanager::conntrack
