// Our own table in nf_tables, `table inet nmanager`, with native expressions: no action of iptables
// or kube-proxy displaces it.
//
// Uses libnftnl and libmnl, not libnftables: adding an element to a set of 10,000, next to
// kube-proxy's chains of 1,000 Services, takes 11 us with the former and 560 us with the latter
// (libnftables parses text, and reads parts of the ruleset before each command). And only the
// former can bind a write to the generation that was read.
#pragma once

#include <memory>

#include "hooks/intent/backend.h"

namespace nmanager::nftables {

struct NftablesOptions {
  /// Without events: the generation id is polled 20 times a second, which costs bulk writers
  /// nothing.
  bool poll_only = false;
};

/// Both share the known content of the table; owner thread only.
struct NftablesBackend {
  std::unique_ptr<Backend> backend;
  std::unique_ptr<ChangeWatch> watch;
};

/// kUnsupported: a kernel without nf_tables; kDenied: without CAP_NET_ADMIN.
[[nodiscard]] Result<NftablesBackend> make_nftables_backend(NftablesOptions options);

}  // namespace nmanager::nftables
