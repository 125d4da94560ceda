// What backend, transactions and watch of one network namespace share. Owner thread only.
#pragma once

#include <map>
#include <memory>
#include <optional>

#include "hooks/iptables_nft/nft_backend.h"
#include "hooks/iptables_nft/own_chains.h"
#include "hooks/netlink/events.h"
#include "hooks/netlink/generation.h"
#include "hooks/netlink/socket.h"
#include "hooks/netlink/watch.h"

namespace nmanager::iptables_nft {

class Session final : public netlink::WatchedSession {
 public:
  explicit Session(NftOptions options);
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  /// kUnsupported, kDenied: there is no working with this kernel.
  Status open();

  [[nodiscard]] const NftOptions& options() const { return options_; }
  [[nodiscard]] netlink::Netlink& netlink() override { return netlink_; }
  [[nodiscard]] OwnChains& chains(TableId id) { return chains_.at(id); }
  [[nodiscard]] netlink::Events* events() override { return events_ ? &*events_ : nullptr; }
  [[nodiscard]] const netlink::OwnGenerations& own() const override { return own_; }

  /// Takes in what others did up to `generation`, so that chains() is known to be right, or to be
  /// doubtful where it may not be.
  void catch_up(TableId id, netlink::Generation generation);
  /// The table was read as of that generation.
  void proven(TableId id, netlink::Generation generation) { proven_[id] = generation; }
  /// A commit of ours was applied.
  void add_own(TableId id, netlink::Generation generation);

  void forget();
  void sweep_all() override;
  bool sweep(std::size_t count) override;

 private:
  void touched(const nlmsghdr& message);

  NftOptions options_;
  netlink::Netlink netlink_;
  netlink::OwnGenerations own_;
  std::map<TableId, OwnChains> chains_;
  std::map<TableId, netlink::Generation> proven_;
  std::optional<netlink::Events> events_;
};

}  // namespace nmanager::iptables_nft
