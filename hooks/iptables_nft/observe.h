// Reading: single chains, never a whole table (a dump of all rules of a table is quadratic in its
// size).
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "hooks/chains/observed.h"
#include "hooks/netlink/socket.h"

namespace nmanager::iptables_nft {

[[nodiscard]] Result<chains::ObservedChain> read_own_chain(netlink::Netlink& netlink, TableId id,
                                                           const ChainName& chain);
[[nodiscard]] Result<std::vector<chains::HookRule>> read_hook(netlink::Netlink& netlink, TableId id,
                                                              Hook hook);

/// The names of every chain of ours in the table; asks for all chains, so the cost grows with
/// kube-proxy's.
[[nodiscard]] Result<std::vector<ChainName>> list_own_chains(netlink::Netlink& netlink, TableId id);

}  // namespace nmanager::iptables_nft
