// Another writer in the same namespace, in this process and as fast as possible.
#pragma once

#include <doctest/doctest.h>

#include <functional>
#include <string>

#include "hooks/iptables_nft/observe.h"
#include "hooks/iptables_nft/write.h"
#include "hooks/netlink/batch.h"

namespace nmanager::test {

/// A second socket with its own transactions.
class Rival {
 public:
  explicit Rival(TableId id) : id_(id) {}

  /// Commits one transaction on the current generation, repeated until it is applied; returns the
  /// number of attempts.
  int commit(const std::function<void(iptables_nft::ChainWriter&)>& write) {
    for (int tries = 1;; ++tries) {
      const auto generation = netlink_.generation();
      REQUIRE(generation.ok());
      if (attempt(*generation, write)) return tries;
      REQUIRE(tries < 100000);
    }
  }

  /// False: another commit was faster.
  bool attempt(netlink::Generation generation,
               const std::function<void(iptables_nft::ChainWriter&)>& write) {
    netlink::Batch batch(generation);
    iptables_nft::ChainWriter writer(batch, id_);
    write(writer);
    batch.finish();
    const auto errors = netlink_.send(batch);
    REQUIRE(errors.ok());
    for (const netlink::BatchError& error : *errors) {
      if (error.code != ERESTART)
        FAIL(netlink::describe(batch.find(error.sequence)) << ' ' << error.code);
    }
    return errors->empty();
  }

  netlink::Netlink& netlink() { return netlink_; }

 private:
  TableId id_;
  netlink::Netlink netlink_;
};

}  // namespace nmanager::test
