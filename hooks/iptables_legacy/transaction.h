// One table of iptables-legacy under the lock: read, show, change.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "hooks/chains/chain_backend.h"
#include "hooks/iptables_legacy/expectation.h"
#include "hooks/iptables_legacy/kernel.h"
#include "hooks/iptables_legacy/lock.h"
#include "hooks/iptables_legacy/shape.h"

namespace nmanager::iptables_legacy {

/// How the hooks of a table were last found or left.
struct Settled {
  TableShape shape;
  std::uint64_t signature = 0;  // look.h
};

/// What a backend knows of one table from one transaction to the next. Only ever a guess or a
/// short cut: what is shown is always read.
struct TableMemory {
  std::optional<Settled> settled;
  ChainProofs proofs;
};

/// What a transaction needs; outlives it.
struct TableContext {
  TableId id;
  const TableSocket& socket;
  SeenShapes& seen;
  TableMemory& memory;
};

/// Reads the table. While the built-in chains are as they were, it is read raw, which is all that a
/// look without a change needs. When somebody put a rule into them, took one away or moved one, a
/// repair is likely, and the table is read into the libiptc handle that the repair needs anyway:
/// reading it twice is what would make a repair slow. `expected` may be null.
[[nodiscard]] Result<std::unique_ptr<chains::Transaction>> begin_transaction(
    TableContext context, XtablesLock::Guard lock, const chains::ChainDigests* expected);

}  // namespace nmanager::iptables_legacy
