// A separate network namespace with iptables-nft.
#pragma once

#include <string>
#include <vector>

#include "hooks/iptables_nft/nft_backend.h"
#include "hooks/netlink/socket.h"
#include "test/support/iptables.h"
#include "test/support/net_namespace.h"

namespace nmanager::test {

using Sandbox = NetNamespace;

/// A new backend; the test fails if it cannot be created.
iptables_nft::NftBackend backend(iptables_nft::NftOptions options = {});
/// True if the plan is empty.
bool in_place(chains::ChainBackend& backend, TableId id, const chains::DesiredTable& desired);

/// The expressions of each rule of a chain, as the kernel dumps them, in hexadecimal.
std::vector<std::string> expressions(netlink::Netlink& netlink, TableId id,
                                     const std::string& chain);

/// A small table: jumps from every hook, and a chain with content.
chains::DesiredTable desired(TableId id);

}  // namespace nmanager::test
