// What backends share whose tables hold chains with jumps from the built-in ones, as iptables has
// them: plan, placement, retries and reports are written once, here.
#pragma once

#include <map>
#include <memory>
#include <set>

#include "hooks/chains/digests.h"
#include "hooks/chains/external_chains.h"
#include "hooks/chains/observed.h"
#include "hooks/chains/plan.h"
#include "hooks/chains/wish.h"
#include "hooks/intent/backend.h"

namespace nmanager::chains {

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

class ChainBackend : public Backend {
 public:
  [[nodiscard]] std::vector<SyncReport> sync(std::span<const Goal> goals,
                                             const SyncOptions& options) final;
  [[nodiscard]] PlanText plan_text(std::span<const Goal> goals) final;

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

  /// What every begin() of one sync() or plan_text() needs (a lock), so that it is waited for once,
  /// however many goals there are. Held as long as the result lives. When it cannot be had, begin()
  /// tells why, and waits no longer.
  [[nodiscard]] virtual std::shared_ptr<void> hold(std::span<const Goal> /*goals*/) { return {}; }

  /// A clock that never goes back, for the reports' durations.
  [[nodiscard]] virtual std::chrono::nanoseconds now() const { return {}; }

 private:
  struct Rendered {
    explicit Rendered(Family family) : external(family) {}
    std::shared_ptr<const TableSpec> of;
    DesiredTable table;       // of everything but an ExternalCluster alone
    ChainDigests digests;     // of `table`
    ExternalChains external;  // of an ExternalCluster alone
    bool is_external = false;
  };
  Rendered& render(const Goal& goal);
  static std::unique_ptr<Wish> wish_of(const Rendered& rendered);

  std::map<TableId, Rendered> rendered_;
  std::map<TableId, std::set<ChainName>> leave_;  // own chains that strangers hold
};

}  // namespace nmanager::chains
