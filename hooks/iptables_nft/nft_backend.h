// Accesses iptables-nft's tables (`ip nat`, `ip filter`, `ip6 ...`) without the iptables command,
// through libmnl and libnftnl.
#pragma once

#include <memory>

#include "hooks/chains/chain_backend.h"

namespace nmanager::iptables_nft {

struct NftOptions {
  bool create_tables = true;  // create a missing table; false: begin() returns kAbsent
  /// Do not subscribe to events: the generation id is polled 20 times a second, which does not slow
  /// down bulk writers.
  bool poll_only = false;
};

/// Both share the cache of our commits and chains; owner thread only.
struct NftBackend {
  std::unique_ptr<chains::ChainBackend> backend;
  std::unique_ptr<ChangeWatch> watch;
};

/// kUnsupported: a kernel without nf_tables; kDenied: without CAP_NET_ADMIN.
[[nodiscard]] Result<NftBackend> make_nft_backend(NftOptions options);

}  // namespace nmanager::iptables_nft
