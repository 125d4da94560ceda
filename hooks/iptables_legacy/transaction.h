// A transaction on one table of iptables-legacy under the lock.
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

/// The state of a table's hooks as it was last read or written.
struct Settled {
  TableShape shape;
  std::uint64_t signature = 0;  // look.h
};

/// What a backend remembers of one table between transactions. It is used only to choose a cheaper
/// method: observed content is always read.
struct TableMemory {
  std::optional<Settled> settled;
  ChainProofs proofs;
};

/// What a transaction needs; the referenced objects must outlive it.
struct TableContext {
  TableId id;
  const TableSocket& socket;
  SeenShapes& seen;
  TableMemory& memory;
};

/// Reads the table. While the built-in chains are unchanged, it is read raw, which is sufficient if
/// nothing has to be written. If another program added, removed or moved a rule in them, a repair
/// is likely, and the table is read into the libiptc handle that the repair needs: a second read
/// would make the repair slow. `expected` may be null.
[[nodiscard]] Result<std::unique_ptr<chains::Transaction>> begin_transaction(
    TableContext context, XtablesLock::Guard lock, const chains::ChainDigests* expected);

}  // namespace nmanager::iptables_legacy
