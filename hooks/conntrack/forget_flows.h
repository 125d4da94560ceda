// Takes conntrack entries away, so that the next packet of their flow meets the nat rules.
#pragma once

#include <cstddef>

#include "hooks/conntrack/stale_flows.h"
#include "hooks/values/result.h"

namespace nmanager::conntrack {

/// Deletes the UDP entries of one family that the change leaves stale, and no other: see
/// is_stale(). The number deleted. kDenied: without CAP_NET_ADMIN; kUnsupported: a kernel without
/// nf_conntrack_netlink. Since Linux 5.8 only entries of UDP are read; among 100,000 of them that
/// takes some 0.3 s, or 0.05 s when all is about one IPv4 address.
[[nodiscard]] Result<std::size_t> forget_udp_flows(Family family, const UdpChange& change);

}  // namespace nmanager::conntrack
