// One read of a table and the commit that builds on it.
#pragma once

#include <memory>
#include <set>

#include "hooks/chains/chain_backend.h"
#include "hooks/netlink/batch.h"
#include "hooks/iptables_nft/session.h"

namespace nmanager {

class NftTransaction final : public Transaction {
 public:
  NftTransaction(std::shared_ptr<Session> session, TableId id, Generation generation,
                 ObservedTable observed)
      : session_(std::move(session)),
        id_(id),
        generation_(generation),
        observed_(std::move(observed)) {}

  [[nodiscard]] const ObservedTable& observed() const override { return observed_; }
  [[nodiscard]] Result<Commit> commit(const TablePlan& plan) override;

 private:
  struct Missing {
    bool table = false;
    std::set<Hook> base_chains;
  };

  [[nodiscard]] Result<Missing> find_missing(const TablePlan& plan);
  void write_hooks(Batch& batch, const TablePlan& plan, const Missing& missing);
  void write_chains(Batch& batch, const TablePlan& plan, const std::set<ChainName>& keep);
  /// Sends it; `busy` gets the chains whose deletion alone was refused.
  Status send(Batch& batch, const TablePlan& plan, std::set<ChainName>& busy);
  [[nodiscard]] Error explain(const Batch& batch, const TablePlan& plan, const BatchError& error);

  std::shared_ptr<Session> session_;
  TableId id_;
  Generation generation_;
  ObservedTable observed_;
};

}  // namespace nmanager
