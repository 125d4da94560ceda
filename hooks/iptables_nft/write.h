// Writes edits of chains as messages of a batch.
#pragma once

#include <optional>
#include <string_view>

#include "hooks/chains/plan.h"
#include "hooks/netlink/table_writer.h"

namespace nmanager::iptables_nft {

/// Writes into one table as iptables-nft does, in the order of the calls.
class ChainWriter : public netlink::TableWriter {
 public:
  ChainWriter(netlink::Batch& batch, TableId id);

  void create_table();
  /// Creates a built-in chain that does not exist, as iptables-nft does, with policy ACCEPT.
  void create_base_chain(Hook hook);
  /// Inserts before the rule `before`, or appends. Throws std::bad_alloc.
  void insert_rule(std::string_view chain, const Rule& rule, std::optional<RuleRef> before);

  void edit_hook(const chains::HookEdit& edit);
  void edit_chain(const chains::ChainEdit& edit);

 private:
  TableId id_;
};

}  // namespace nmanager::iptables_nft
