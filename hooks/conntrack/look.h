// Reads conntrack: one entry, and its statistics. Changes nothing; needs CAP_NET_ADMIN.
#pragma once

#include <cstdint>
#include <optional>

#include "hooks/netlink/socket.h"
#include "hooks/values/flow.h"
#include "hooks/values/result.h"

namespace nmanager::conntrack {

/// Counters since the namespace was made, over all CPUs (struct ip_conntrack_stat).
struct Statistics {
  std::uint64_t invalid = 0;      // packets that belong to no connection
  std::uint64_t dropped = 0;      // since the table was full
  std::uint64_t early_drops = 0;  // entries thrown out to make room
};

class Look {
 public:
  /// The connection of TCP that has `tuple` as one of its directions. kAbsent: there is none;
  /// kDenied: a capability is missing.
  [[nodiscard]] Result<Flow> find(const Tuple& tuple);
  [[nodiscard]] Result<Statistics> statistics();

 private:
  netlink::Netlink netlink_;
};

}  // namespace nmanager::conntrack
