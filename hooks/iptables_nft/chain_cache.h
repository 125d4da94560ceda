// The cached state of our chains in the four tables of one network namespace, and its invalidation.
// Owner thread only.
#pragma once

#include <map>

#include "hooks/iptables_nft/nft_backend.h"
#include "hooks/iptables_nft/own_chains.h"
#include "hooks/netlink/session.h"

namespace nmanager::iptables_nft {

class ChainCache final : public netlink::Session {
 public:
  explicit ChainCache(NftOptions options);

  [[nodiscard]] const NftOptions& options() const { return options_; }
  [[nodiscard]] OwnChains& chains(TableId id) { return chains_.at(id); }

  /// When polling only: marks as doubtful what other processes may have changed up to `generation`.
  void doubt_since_proven(TableId id, netlink::Generation generation);
  /// The table was read at that generation.
  void proven(TableId id, netlink::Generation generation) { proven_[id] = generation; }

  void forget() override;
  void sweep_all() override;
  bool sweep(std::size_t count) override;

 private:
  void touched(const nlmsghdr& message) override;

  NftOptions options_;
  std::map<TableId, OwnChains> chains_;
  std::map<TableId, netlink::Generation> proven_;
};

}  // namespace nmanager::iptables_nft
