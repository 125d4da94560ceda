// The common code of backends with iptables-like tables, that is chains with jumps from built-in
// chains: plan, placement, retries and reports.
#pragma once

#include <cstddef>
#include <functional>
#include <limits>
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

/// Read, decide, write: the commit applies to the state in `observed`. Either a lock is held from
/// begin() to the end of this object (legacy), or the commit carries the generation that was read
/// and fails with kRetry if another process was faster (nft). Owner thread only.
class Transaction {
 public:
  virtual ~Transaction() = default;
  [[nodiscard]] virtual const ObservedTable& observed() const = 0;
  /// One atomic change of the table. At most one call. After an error the state of the kernel is
  /// unknown: begin again and read (a commit can fail after the new table is live, facts: legacy).
  [[nodiscard]] virtual Result<Commit> commit(const TablePlan& plan) = 0;
};

class ChainBackend : public Backend {
 public:
  [[nodiscard]] std::vector<SyncReport> sync(std::span<const Goal> goals,
                                             const SyncOptions& options) final;
  [[nodiscard]] PlanText plan_text(std::span<const Goal> goals) final;

  /// kAbsent: the table does not exist and this backend may not create it (see `create_tables`).
  /// kUnsupported: the kernel lacks the table or a module, the message names it.
  /// kRetry: lock busy beyond the bound, or the read could not be made consistent.
  [[nodiscard]] virtual Result<std::unique_ptr<Transaction>> begin(TableId id) = 0;

  /// As begin(), with the expected content of our chains: a backend that can prove that a chain has
  /// exactly this content omits it (ObservedTable::only_differences), so that a check without
  /// differences costs the same with ten chains and with ten thousand. `expected` is used only
  /// during the call. `part` may choose some of what differs: see Wish::part().
  using ChoosePart = std::function<Part(const Differences&, const Wish::IsEmpty&)>;
  [[nodiscard]] virtual Result<std::unique_ptr<Transaction>> begin_expecting(
      TableId id, const ChainDigests& /*expected*/, const ChoosePart& /*part*/) {
    return begin(id);
  }

  /// The resource (a lock) that every begin() of one sync() or plan_text() needs, so that there is
  /// one wait for any number of goals. Held for the lifetime of the result. If it is not available,
  /// begin() reports the reason and does not wait again.
  [[nodiscard]] virtual std::shared_ptr<void> hold(std::span<const Goal> /*goals*/) { return {}; }

  /// A clock that never goes back, for the reports' durations.
  [[nodiscard]] virtual std::chrono::nanoseconds now() const { return {}; }

  /// A commit should not have many more rules than this: a larger change is several commits, one in
  /// each sync().
  [[nodiscard]] std::size_t rules_at_once() const { return most_rules() / sharing_; }

 private:
  /// Of all commits of one sync(). By default one commit for each table, whatever its size.
  [[nodiscard]] virtual std::size_t most_rules() const {
    return std::numeric_limits<std::size_t>::max();
  }

  /// To read and write the goal's table takes so long that one sync() does it to one such table.
  [[nodiscard]] virtual bool is_large(const Goal& /*goal*/) { return false; }

  struct Rendered {
    explicit Rendered(Family family) : external(family) {}
    std::shared_ptr<const TableSpec> of;
    DesiredTable table;       // of everything but an ExternalCluster alone
    ChainDigests digests;     // of `table`
    ExternalChains external;  // of an ExternalCluster alone
    bool is_external = false;
    std::size_t left = 0;  // addresses of `of` for which `external` is not prepared yet
    bool untold = false;   // see sync_table()
    std::shared_ptr<const void> unused;
  };
  /// For `most` addresses at a time.
  Rendered& render(const Goal& goal, std::size_t most);
  /// False: nothing can be written yet. Without the lock.
  [[nodiscard]] bool prepare(const Goal& goal, const SyncOptions& options, SyncReport& report);
  void write(std::span<const Goal> goals, std::span<const std::size_t> ready,
             const SyncOptions& options, std::vector<SyncReport>& reports);
  void write(const Goal& goal, const SyncOptions& options, SyncReport& prepared);
  SyncReport sync(const Goal& goal, Rendered& rendered, const SyncOptions& options);
  static std::unique_ptr<Wish> wish_of(const Rendered& rendered);
  [[nodiscard]] std::vector<std::size_t> order_of(std::span<const Goal> goals) const;

  /// The goals of this sync() that are written in parts share what is done at once; at least 1.
  std::size_t sharing_ = 1;
  std::set<TableId> waiting_;  // large ones that the last sync() did not come to
  std::map<TableId, Rendered> rendered_;
  std::map<TableId, std::set<ChainName>> leave_;  // our chains to which foreign rules refer
};

}  // namespace nmanager::chains
