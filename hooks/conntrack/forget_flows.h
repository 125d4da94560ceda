// Deletes conntrack entries, so that the next packet of their flow is processed by the nat rules.
#pragma once

#include <vector>

#include "hooks/conntrack/stale_flows.h"
#include "hooks/values/result.h"

namespace nmanager::conntrack {

/// Deletes only the UDP entries of one family that the change leaves stale (see is_stale()) and
/// returns the external address of each. kDenied: no CAP_NET_ADMIN; kUnsupported: a kernel without
/// nf_conntrack_netlink. Blocks: since Linux 5.8 only UDP entries are read, which takes about 0.3 s
/// with 100,000 of them, or 0.05 s if the change has only one IPv4 address.
[[nodiscard]] Result<std::vector<Address>> forget_udp_flows(Family family, const UdpChange& change);

}  // namespace nmanager::conntrack
