// Builds an ObservedTable from entries. Only this class decides which rules are ours, for every
// source of entries. Pure.
#pragma once

#include <map>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "hooks/chains/observed.h"
#include "hooks/iptables_legacy/entry.h"
#include "hooks/values/table.h"

namespace nmanager::iptables_legacy {

/// Order of calls: open_hook() or open_chain(), then add_rule() for each of its rules, front to
/// back.
class ObservedBuilder {
 public:
  explicit ObservedBuilder(TableId id);

  void open_hook(Hook hook);
  void open_chain(std::string_view name);  // precondition: is_own_chain(name)
  /// The chain that was opened last.
  [[nodiscard]] const chains::ObservedChain& chain() const { return chain_->second; }
  void drop_chain() { table_.chains.erase(chain_); }
  /// The table lists only differences: dropped chains are as expected, and those in `missing` do
  /// not exist.
  void only_differences(std::set<ChainName> missing);

  /// `jump_to`: name of the chain that the rule jumps or goes to, else empty.
  void add_rule(Span entry, std::string_view jump_to);

  /// KUBE-FORWARD exists; whether it drops INVALID packets, its rules tell.
  void open_kube_forward() { table_.kube_drops_invalid = false; }
  void add_kube_forward_rule(Span entry);

  [[nodiscard]] chains::ObservedTable take() { return std::move(table_); }

 private:
  TableId id_;
  chains::ObservedTable table_;
  std::vector<chains::HookRule>* hook_rules_ =
      nullptr;  // of the open hook; nullptr: a chain is open
  std::map<ChainName, chains::ObservedChain>::iterator chain_;
  ChainName own_chain_;  // of the open hook
};

}  // namespace nmanager::iptables_legacy
