// Takes conntrack entries away, so that the next packet of their flow meets the nat rules.
#pragma once

#include <cstddef>
#include <optional>
#include <set>

#include "hooks/conntrack/udp_targets.h"
#include "hooks/values/result.h"

namespace nmanager {

/// Deletes the UDP flows of one family to one of `targets` that our rules apply to: from the node
/// itself, or from `pod_cidr`. The number deleted. kDenied: without CAP_NET_ADMIN; kUnsupported: a
/// kernel without nf_conntrack_netlink. Reads the family's whole conntrack table: some
/// milliseconds for 10,000 entries.
[[nodiscard]] Result<std::size_t> forget_udp_flows(Family family,
                                                   const std::set<UdpTarget>& targets,
                                                   const std::optional<Prefix>& pod_cidr);

}  // namespace nmanager
