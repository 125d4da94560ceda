// Reading: single chains, never a whole table (a dump of all rules of a table is quadratic in its
// size).
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "hooks/netlink/socket.h"
#include "hooks/chains/observed.h"

namespace nmanager {

/// Calls `visit` for each rule of one chain, in order. A chain or table that does not exist has no
/// rules. kRetry: interrupted by a commit.
Status read_rules(Netlink& netlink, TableId id, std::string_view chain,
                  const Netlink::Visitor& visit);

[[nodiscard]] Result<ObservedChain> read_own_chain(Netlink& netlink, TableId id,
                                                   const ChainName& chain);
[[nodiscard]] Result<std::vector<HookRule>> read_hook(Netlink& netlink, TableId id, Hook hook);

[[nodiscard]] Result<bool> table_exists(Netlink& netlink, Family family, std::string_view table);
[[nodiscard]] Result<bool> chain_exists(Netlink& netlink, Family family, std::string_view table,
                                        std::string_view chain);

/// The names of every chain of ours in the table; asks for all chains, so the cost grows with
/// kube-proxy's.
[[nodiscard]] Result<std::vector<ChainName>> list_own_chains(Netlink& netlink, TableId id);

}  // namespace nmanager
