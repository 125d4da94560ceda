// A network namespace of one's own, and iptables-nft in it.
#pragma once

#include <string>
#include <vector>

#include "hooks/iptables_nft/nft_backend.h"
#include "hooks/netlink/socket.h"
#include "test/support/command.h"
#include "test/support/net_namespace.h"

namespace nmanager::test {

using Sandbox = NetNamespace;

/// "iptables-nft -t nat" of the table's family.
std::string iptables(TableId id);
/// iptables-nft-save of one table without its comment lines.
std::string save(TableId id, bool counters = true);
/// iptables-nft-restore --noflush of `lines` into the table; COMMIT is added.
void restore(TableId id, const std::string& lines);

/// A fresh backend, the test fails when there is none.
iptables_nft::NftBackend backend(iptables_nft::NftOptions options = {});
/// The commit of make_plan(desired, observed); the test fails when it fails.
chains::Commit apply(chains::ChainBackend& backend, TableId id,
                     const chains::DesiredTable& desired);
/// What stands there now.
chains::ObservedTable look(chains::ChainBackend& backend, TableId id);
/// True when nothing would have to be done.
bool in_place(chains::ChainBackend& backend, TableId id, const chains::DesiredTable& desired);

/// The expressions of each rule of a chain, as the kernel dumps them, in hexadecimal.
std::vector<std::string> expressions(netlink::Netlink& netlink, TableId id,
                                     const std::string& chain);

/// A small table of each kind: jumps from every hook, a chain with content.
chains::DesiredTable desired(TableId id);
Rule jump_to(const std::string& chain);
Prefix prefix(const std::string& text);
Address address(const std::string& text);

}  // namespace nmanager::test
