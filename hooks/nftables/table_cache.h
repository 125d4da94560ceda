// Shared by backend and watch of one network namespace: the known content of the table, and the
// events that invalidate it. Owner thread only.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "hooks/netlink/session.h"
#include "hooks/nftables/nftables_backend.h"
#include "hooks/nftables/observe.h"

namespace nmanager::nftables {

/// What a set holds: all that `as_in` wants of it (null: nothing), and `besides`, for other
/// addresses. With strange elements, which no Element can express, all others are in `besides`.
struct KnownElements {
  std::shared_ptr<const TableSpec> as_in;
  SharedElements besides = std::make_shared<const Elements>();  // sorted
  bool strange = false;
};

/// The table as of one generation.
class TableCache final : public netlink::Session {
 public:
  explicit TableCache(NftablesOptions options);

  /// Something is read as of `generation`. Without events, this invalidates everything that others
  /// may have changed until then.
  void begin_read(netlink::Generation generation);
  /// Reads what is invalid; with `counters`, the drop rules' counters too.
  Status refresh(bool counters);
  [[nodiscard]] const Structure& structure() const { return structure_; }
  /// The number of reads: while it is unchanged, no other process has changed the table.
  [[nodiscard]] std::uint64_t structure_reads() const { return structure_reads_; }
  /// The set exists as expected. `wanted`: what it shall hold, so that what is equal has not to be
  /// kept twice; null, or not an ExternalCluster alone: not known.
  [[nodiscard]] Result<KnownElements> elements(const SetId& id,
                                               const std::shared_ptr<const TableSpec>& wanted);
  [[nodiscard]] bool knows(const SetId& id) const { return known_.contains(id); }
  /// That were read by elements(): about a microsecond each.
  [[nodiscard]] std::size_t elements_read() const { return elements_read_; }

  /// Everything was read as of that generation.
  void proven(netlink::Generation generation) { proven_ = generation; }
  void doubt_structure() { structure_doubtful_ = true; }
  void know(const SetId& id, std::shared_ptr<const TableSpec> spec) {
    known_[id] = {.as_in = std::move(spec)};
  }
  void doubt(const SetId& id) { known_.erase(id); }
  void forget() override;

  void sweep_all() override { sweep_due_ = events() == nullptr; }
  bool sweep(std::size_t count) override;

 private:
  using Clock = std::chrono::steady_clock;

  Result<KnownElements> read(const SetId& id, const std::shared_ptr<const TableSpec>& wanted);
  void touched(const nlmsghdr& message) override;
  void overtaken() override;

  std::optional<netlink::Generation> proven_;
  bool structure_doubtful_ = true;
  std::uint64_t structure_reads_ = 0;
  Structure structure_;
  std::map<SetId, KnownElements> known_;
  std::size_t elements_read_ = 0;
  std::vector<SetId> just_read_;  // since the last call of begin_read()

  // Without events it is not known which elements were changed: they are read again after a change
  // by others, but at most 1 % of a core is spent on this.
  bool sweep_due_ = false;
  Clock::duration sweep_cost_{};
  Clock::time_point swept_at_;
};

}  // namespace nmanager::nftables
