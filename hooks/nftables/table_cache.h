// Shared by backend and watch of one network namespace: the known content of the table, and the
// events that invalidate it. Owner thread only.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>

#include "hooks/netlink/session.h"
#include "hooks/nftables/nftables_backend.h"
#include "hooks/nftables/observe.h"

namespace nmanager::nftables {

struct KnownElements {
  SharedElements elements;  // as read; null: those of `as_in`
  bool strange = false;
  std::shared_ptr<const TableSpec> as_in;
};

/// The table as of one generation.
class TableCache final : public netlink::Session {
 public:
  explicit TableCache(NftablesOptions options);

  /// Without events: invalidates everything that others may have changed up to `generation`.
  void doubt_since_proven(netlink::Generation generation);
  /// Reads what is invalid; with `counters`, the drop rules' counters too.
  Status refresh(bool counters);
  [[nodiscard]] const Structure& structure() const { return structure_; }
  /// The number of reads: while it is unchanged, no other process has changed the table.
  [[nodiscard]] std::uint64_t structure_reads() const { return structure_reads_; }
  /// The set exists as expected.
  [[nodiscard]] Result<KnownElements> elements(const SetId& id);

  /// Everything was read as of that generation.
  void proven(netlink::Generation generation) { proven_ = generation; }
  void doubt_structure() { structure_doubtful_ = true; }
  void know(const SetId& id, std::shared_ptr<const TableSpec> spec) {
    known_[id] = {nullptr, false, std::move(spec)};
  }
  void doubt(const SetId& id) { known_.erase(id); }
  void forget() override;

  void sweep_all() override { sweep_due_ = events() == nullptr; }
  bool sweep(std::size_t count) override;

 private:
  using Clock = std::chrono::steady_clock;

  void touched(const nlmsghdr& message) override;
  void overtaken() override { forget(); }

  std::optional<netlink::Generation> proven_;
  bool structure_doubtful_ = true;
  std::uint64_t structure_reads_ = 0;
  Structure structure_;
  std::map<SetId, KnownElements> known_;

  // Without events it is not known which elements were changed: they are read again after a change
  // by others, but at most 1 % of a core is spent on this.
  bool sweep_due_ = false;
  Clock::duration sweep_cost_{};
  Clock::time_point swept_at_;
};

}  // namespace nmanager::nftables
