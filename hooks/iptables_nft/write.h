// Edits as messages of a batch.
#pragma once

#include <optional>
#include <string_view>

#include "hooks/chains/plan.h"
#include "hooks/netlink/batch.h"

namespace nmanager::iptables_nft {

/// Writes into one table, in the order of the calls.
class Writer {
 public:
  Writer(netlink::Batch& batch, TableId id) : batch_(batch), id_(id) {}

  void create_table();
  /// The built-in chain as iptables-nft makes it, policy ACCEPT; for one that does not exist.
  void create_base_chain(Hook hook);
  void create_chain(const ChainName& chain);
  void delete_chain(const ChainName& chain);
  void flush_chain(const ChainName& chain);
  /// Before the rule `before`, else at the end.
  void insert_rule(std::string_view chain, const Rule& rule, std::optional<RuleRef> before);
  void delete_rule(std::string_view chain, RuleRef rule);

  void edit_hook(const chains::HookEdit& edit);
  void edit_chain(const chains::ChainEdit& edit);

 private:
  netlink::Batch& batch_;
  TableId id_;
};

}  // namespace nmanager::iptables_nft
