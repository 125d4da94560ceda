// The one door to the kernel's tables. Every variant (iptables-legacy, iptables-nft, nftables, the
// fake kernel of the tests) stands behind it; plan, placement, retries and reports are written
// once, above.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "hooks/plan/digests.h"
#include "hooks/plan/observed.h"
#include "hooks/plan/plan.h"
#include "hooks/values/result.h"

namespace nmanager {

struct Commit {
  std::set<ChainName> still_referenced;  // emptied but not deleted: a foreign rule jumps to them
};

/// Read, decide, write: what `observed` shows is what the commit is applied to. Either a lock is
/// held from begin() to the end of this object (legacy), or the commit carries the generation that
/// was read and fails with kRetry when somebody was faster (nft). Owner thread only.
class Transaction {
 public:
  virtual ~Transaction() = default;
  [[nodiscard]] virtual const ObservedTable& observed() const = 0;
  /// One atomic change of the table. At most one call. After an error the state of the kernel is
  /// unknown: begin again and look (a commit can fail after the new table is live, facts: legacy).
  [[nodiscard]] virtual Result<Commit> commit(const TablePlan& plan) = 0;
};

/// A cheap identity of kube-proxy's chains in one family's nat table: it moves at every kube-proxy
/// sync (and possibly more often), and is stable at idle. 0 when there are no such chains.
using KubeStamp = std::uint64_t;

/// See hooks/kube/checksum.h. Equal across variants for equal KUBE-* rules is a goal of each
/// backend.
struct KubeChecksum {
  bool present = false;  // the nat table holds KUBE-SERVICES
  std::uint64_t sum = 0;
  bool operator==(const KubeChecksum&) const = default;
};

class Backend {
 public:
  virtual ~Backend() = default;

  [[nodiscard]] virtual std::string_view name() const = 0;  // "iptables-legacy", ...

  /// kAbsent: the table does not exist and this backend may not make it (see `create_tables`).
  /// kUnsupported: the kernel lacks the table or a module, the message names it.
  /// kRetry: lock busy beyond the bound, or the read could not be made consistent.
  [[nodiscard]] virtual Result<std::unique_ptr<Transaction>> begin(TableId id) = 0;

  /// As begin(), told what the own chains should hold: a backend that can prove that a chain holds
  /// just that does not show it (ObservedTable::only_differences), so that a check with nothing to
  /// do costs the same with ten chains and with ten thousand. `expected` is used during the call
  /// only.
  [[nodiscard]] virtual Result<std::unique_ptr<Transaction>> begin_expecting(
      TableId id, const ChainDigests& /*expected*/) {
    return begin(id);
  }

  [[nodiscard]] virtual Result<KubeStamp> kube_stamp(Family family) = 0;
  [[nodiscard]] virtual Result<KubeChecksum> kube_checksum(Family family) = 0;

  /// Time spent waiting for the lock since it was made; nothing: it takes none.
  [[nodiscard]] virtual std::optional<std::chrono::nanoseconds> lock_waited() const { return {}; }
};

/// Something changed, or may have, in the tables.
struct TableChange {
  std::optional<Family> family;  // nothing: could be any
  std::string writer;            // process name, empty when unknown
  std::int32_t writer_pid = 0;   // 0: unknown
  bool certain = false;          // false: only a hint (a lock cycle), look before judging
};

/// Watches the tables for changes made by others. Own commits are not reported (or are recognised
/// and dropped by drain()). Used on the owner thread, which polls fd() together with its other
/// work.
class ChangeWatch {
 public:
  virtual ~ChangeWatch() = default;
  /// Readable when drain() has something to say; -1: polling only.
  [[nodiscard]] virtual int fd() const = 0;
  /// Takes what is there without blocking; several changes may be merged into one.
  /// Also called at least each poll_interval() without the fd being readable: the cheap poll
  /// behind.
  [[nodiscard]] virtual std::vector<TableChange> drain() = 0;
  [[nodiscard]] virtual std::chrono::milliseconds poll_interval() const = 0;
};

}  // namespace nmanager
