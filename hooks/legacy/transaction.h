// One table of iptables-legacy under the lock: read, show, change.
#pragma once

#include <map>
#include <memory>

#include "hooks/backend/backend.h"
#include "hooks/legacy/kernel.h"
#include "hooks/legacy/lock.h"
#include "hooks/legacy/shape.h"

namespace nmanager::legacy {

/// What transactions on one table need and leave behind; outlives them.
struct TableContext {
  TableId id;
  const TableSocket& socket;
  SeenShapes& seen;
  /// The shape in which the hooks were last found or left as they should be; nothing otherwise.
  std::optional<TableShape>& settled;
};

/// Reads the table. While the built-in chains are as long as in `settled`, it is read raw, which is
/// all that a look without a change needs. Otherwise somebody put a rule into them or took one
/// away, a repair is likely, and the table is read into the libiptc handle that the repair needs
/// anyway: reading it twice is what would make a repair slow.
[[nodiscard]] Result<std::unique_ptr<Transaction>> begin_transaction(TableContext context,
                                                                     XtablesLock::Guard lock);

}  // namespace nmanager::legacy
