// The chains that kube-proxy rewrites at every sync: a cheap stamp, and a checksum of the content.
#pragma once

#include <optional>

#include "hooks/intent/backend.h"
#include "hooks/netlink/socket.h"

namespace nmanager::netlink {

/// From the handle of the rule in KUBE-MARK-MASQ: a new one at each sync, untouched by counters. 0:
/// there is no KUBE-SERVICES. About 30 us.
[[nodiscard]] Result<KubeStamp> read_kube_stamp(Netlink& netlink, Family family);

/// A checksum of the four chains that kube-proxy rewrites at every sync. Takes 86 ms with 10,000
/// Services.
[[nodiscard]] Result<KubeChecksum> read_kube_checksum(Netlink& netlink, Family family);

/// True if each hook of the table that we use has a jump to a chain of kube-proxy; nullopt if the
/// table has no such chains.
[[nodiscard]] Result<std::optional<bool>> has_kube_jumps(Netlink& netlink, TableId id);

/// KUBE-FORWARD of filter has a rule that drops INVALID packets; nothing: there is no such chain.
[[nodiscard]] Result<std::optional<bool>> kube_drops_invalid(Netlink& netlink, Family family);

}  // namespace nmanager::netlink
