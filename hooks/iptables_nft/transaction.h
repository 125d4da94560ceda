// One read of a table and the commit that is based on it.
#pragma once

#include <functional>
#include <memory>
#include <set>

#include "hooks/chains/chain_backend.h"
#include "hooks/iptables_nft/chain_cache.h"
#include "hooks/netlink/batch.h"

namespace nmanager::iptables_nft {

class NftTransaction final : public chains::Transaction {
 public:
  NftTransaction(std::shared_ptr<ChainCache> cache, TableId id, netlink::Generation generation,
                 chains::ObservedTable observed)
      : cache_(std::move(cache)),
        id_(id),
        generation_(generation),
        observed_(std::move(observed)) {}

  [[nodiscard]] const chains::ObservedTable& observed() const override { return observed_; }
  [[nodiscard]] Result<chains::Commit> commit(const chains::TablePlan& plan) override;

 private:
  struct Missing {
    bool table = false;
    std::set<Hook> base_chains;
  };

  [[nodiscard]] Result<Missing> find_missing(const chains::TablePlan& plan);
  void write_hooks(netlink::Batch& batch, const chains::TablePlan& plan, const Missing& missing);
  void write_chains(netlink::Batch& batch, const chains::TablePlan& plan,
                    const std::set<ChainName>& keep);
  /// Completes and sends the batch; adds to `busy` the chains whose deletion was refused because
  /// they are in use.
  /// `learn` is called once the batch is in place.
  Status send(netlink::Batch& batch, const chains::TablePlan& plan, std::set<ChainName>& busy,
              const std::function<void()>& learn);
  [[nodiscard]] Error explain(const netlink::Batch& batch, const chains::TablePlan& plan,
                              const netlink::BatchError& error);

  std::shared_ptr<ChainCache> cache_;
  TableId id_;
  netlink::Generation generation_;
  chains::ObservedTable observed_;
};

}  // namespace nmanager::iptables_nft
