// Brings one table of chains from the observed to the desired state: read, plan, commit, and read
// again before a failure is reported. Common to every backend with chains.
#pragma once

#include <set>

#include "hooks/chains/chain_backend.h"

namespace nmanager::chains {

/// Owner thread. `leave`: see make_plan. `expected`: digests_of(desired), kept by the caller for
/// large tables; nullptr: every own chain is read, with its counters.
[[nodiscard]] SyncReport sync_table(ChainBackend& backend, TableId id, const DesiredTable& desired,
                                    const std::set<ChainName>& leave, const SyncOptions& options,
                                    const ChainDigests* expected = nullptr);

}  // namespace nmanager::chains
