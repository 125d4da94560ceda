// A network namespace of one's own, and iptables-nft in it.
#pragma once

#include <string>
#include <vector>

#include "hooks/iptables_nft/nft_backend.h"
#include "hooks/netlink/socket.h"
#include "test/support/iptables.h"
#include "test/support/net_namespace.h"

namespace nmanager::test {

using Sandbox = NetNamespace;

inline const Iptables& tool() {
  static const Iptables nft("nft");
  return nft;
}
inline std::string iptables(TableId id) {
  return tool().command(id);
}
inline std::string save(TableId id, bool counters = true) {
  return tool().save(id, counters);
}
inline void restore(TableId id, const std::string& lines) {
  tool().restore(id, lines);
}

/// A fresh backend, the test fails when there is none.
iptables_nft::NftBackend backend(iptables_nft::NftOptions options = {});
/// True when nothing would have to be done.
bool in_place(chains::ChainBackend& backend, TableId id, const chains::DesiredTable& desired);

/// The expressions of each rule of a chain, as the kernel dumps them, in hexadecimal.
std::vector<std::string> expressions(netlink::Netlink& netlink, TableId id,
                                     const std::string& chain);

/// A small table of each kind: jumps from every hook, a chain with content.
chains::DesiredTable desired(TableId id);
}  // namespace nmanager::test
