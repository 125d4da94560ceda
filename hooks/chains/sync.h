// Brings one table of chains from the observed to the desired state: read, plan, commit, and read
// again before a failure is reported. Common to every backend with chains.
#pragma once

#include <set>

#include "hooks/chains/chain_backend.h"
#include "hooks/chains/wish.h"

namespace nmanager::chains {

/// Owner thread. `leave`: see make_plan. `expected`: the digests of all that is wished, kept by the
/// caller for large tables; nullptr: every own chain is read, with its counters. `untold`, kept by
/// the caller: UDP flows were not told yet of rules that parts have brought.
[[nodiscard]] SyncReport sync_table(ChainBackend& backend, TableId id, const Wish& wish,
                                    const std::set<ChainName>& leave, const SyncOptions& options,
                                    const ChainDigests* expected, bool& untold);
[[nodiscard]] SyncReport sync_table(ChainBackend& backend, TableId id, const DesiredTable& desired,
                                    const std::set<ChainName>& leave, const SyncOptions& options,
                                    const ChainDigests* expected = nullptr);

}  // namespace nmanager::chains
