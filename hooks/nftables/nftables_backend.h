// A table of its own in nf_tables, `table inet nmanager`, with native expressions: nothing that
// iptables or kube-proxy do displaces it.
#pragma once

#include <memory>

#include "hooks/backend/backend.h"

namespace nmanager {

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

}  // namespace nmanager
