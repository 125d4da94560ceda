// What backend and watch of one network namespace share: what is known of the table, and what makes
// it doubtful. Owner thread only.
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

  /// Where no event tells: takes what others may have done up to `generation` as doubtful.
  void doubt_since_proven(netlink::Generation generation);
  /// Reads what is doubtful; the drop rules' counters are fresh when `counters`.
  Status refresh(bool counters);
  [[nodiscard]] const Structure& structure() const { return structure_; }
  /// How often it was read: while this stays, nobody has touched it.
  [[nodiscard]] std::uint64_t structure_reads() const { return structure_reads_; }
  /// The set stands as it has to be made.
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

  // Without events nobody tells which elements were touched: they are read again after a change by
  // others, but at most 1 % of a core is spent on it.
  bool sweep_due_ = false;
  Clock::duration sweep_cost_{};
  Clock::time_point swept_at_;
};

}  // namespace nmanager::nftables
