// Reads single chains, never a whole table (a dump of all rules of a table is quadratic in its
// size). kRetry: a commit interrupted the read.
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

/// The names of all our chains in the table. It dumps all chains of the table, so the cost grows
/// with the number of kube-proxy's chains.
[[nodiscard]] Result<std::vector<ChainName>> list_own_chains(netlink::Netlink& netlink, TableId id);

}  // namespace nmanager::iptables_nft
