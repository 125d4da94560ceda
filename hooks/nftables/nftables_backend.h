// A table of its own in nf_tables, `table inet nmanager`, with native expressions: nothing that
// iptables or kube-proxy do displaces it.
//
// Through libnftnl and libmnl rather than libnftables: one element more in a set of 10,000, beside
// kube-proxy's chains of 1,000 Services, takes 11 us this way and 560 us that way (libnftables
// parses text, and reads what it needs of the ruleset before each command); and only this way is
// the generation that was read the one that is written to.
#pragma once

#include <memory>

#include "hooks/intent/backend.h"

namespace nmanager::nftables {

struct NftablesOptions {
  /// No listening: the generation id is polled 20 times a second, which costs bulk writers nothing.
  bool poll_only = false;
};

/// Both share what is known of the table; owner thread only.
struct NftablesBackend {
  std::unique_ptr<Backend> backend;
  std::unique_ptr<ChangeWatch> watch;
};

/// kUnsupported: a kernel without nf_tables; kDenied: without CAP_NET_ADMIN.
[[nodiscard]] Result<NftablesBackend> make_nftables_backend(NftablesOptions options);

}  // namespace nmanager::nftables
