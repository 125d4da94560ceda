// What backend and watch of one network namespace share: what is known of the table, and what makes
// it doubtful. Owner thread only.
#pragma once

#include <chrono>
#include <map>
#include <optional>

#include "hooks/netlink/events.h"
#include "hooks/netlink/generation.h"
#include "hooks/netlink/socket.h"
#include "hooks/netlink/watch.h"
#include "hooks/nftables/nftables_backend.h"
#include "hooks/nftables/observe.h"

namespace nmanager::nftables {

struct KnownElements {
  SharedElements elements;
  bool strange = false;
};

/// The table as of one generation.
class Session final : public netlink::WatchedSession {
 public:
  explicit Session(NftablesOptions options) : options_(options) {}
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  /// kUnsupported, kDenied: there is no working with this kernel.
  Status open();

  [[nodiscard]] netlink::Netlink& netlink() override { return netlink_; }
  [[nodiscard]] netlink::Events* events() override { return events_ ? &*events_ : nullptr; }
  [[nodiscard]] const netlink::OwnGenerations& own() const override { return own_; }

  /// Takes in what others did up to `generation`: what they touched is doubtful afterwards.
  void catch_up(netlink::Generation generation);
  /// Reads what is doubtful; the drop rules' counters are fresh when `counters`.
  Status refresh(bool counters);
  [[nodiscard]] const Structure& structure() const { return structure_; }
  /// The set stands as it has to be made.
  [[nodiscard]] Result<KnownElements> elements(const SetId& id);

  /// Everything was read as of that generation.
  void proven(netlink::Generation generation) { proven_ = generation; }
  /// A commit of ours was applied.
  void committed(netlink::Generation generation);
  void doubt_structure() { structure_doubtful_ = true; }
  void know(const SetId& id, SharedElements elements) { known_[id] = {std::move(elements), false}; }
  void doubt(const SetId& id) { known_.erase(id); }
  void forget();

  void sweep_all() override { sweep_due_ = !events_; }
  bool sweep(std::size_t count) override;

 private:
  using Clock = std::chrono::steady_clock;

  void touched(const nlmsghdr& message);

  NftablesOptions options_;
  netlink::Netlink netlink_;
  netlink::OwnGenerations own_;
  std::optional<netlink::Events> events_;
  std::optional<netlink::Generation> proven_;
  bool structure_doubtful_ = true;
  Structure structure_;
  std::map<SetId, KnownElements> known_;

  // Without events nobody tells which elements were touched: they are read again after a change by
  // others, but at most 1 % of a core is spent on it.
  bool sweep_due_ = false;
  Clock::duration sweep_cost_{};
  Clock::time_point swept_at_;
};

}  // namespace nmanager::nftables
