// The content of the tables during the benchmarks.
#pragma once

#include <memory>
#include <string>

#include "hooks/chains/chain_backend.h"
#include "hooks/chains/desired.h"
#include "hooks/intent/table_spec.h"
#include "test/support/tables.h"

namespace nmanager::bench {

using test::kNat4;

enum class Variant { kLegacy, kNft };
[[nodiscard]] std::string name_of(Variant variant);  // "legacy", "nft"

struct Door {
  std::unique_ptr<chains::ChainBackend> backend;
  std::unique_ptr<ChangeWatch> watch;
};
[[nodiscard]] Door open_door(Variant variant, bool poll_only = false);

/// `services` LoadBalancer Services with one external address and two ports each; `changed`: one of
/// them has another cluster address.
[[nodiscard]] ExternalCluster our_services(int services, bool changed = false);

/// Our nat table for our_services().
[[nodiscard]] chains::DesiredTable our_table(int services, bool changed = false);

/// The nat table of kube-proxy for `services` Services with three endpoints each, as
/// iptables-restore text.
[[nodiscard]] std::string kube_table(int services);

/// Every part of it. Throws std::runtime_error.
void sync(Backend& backend, const Goal& goal);

/// Empties the nat table of the calling thread's namespace, then fills it.
void reset_nat(Variant variant, const std::string& restore_text = {});

}  // namespace nmanager::bench
