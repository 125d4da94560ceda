// The desired content of one table: our chains with their rules, and the hooks that jump to them.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <vector>

#include "hooks/values/rule.h"
#include "hooks/values/table.h"

namespace nmanager::chains {

struct DesiredTable {
  std::map<ChainName, std::vector<Rule>> chains;
  std::vector<Hook> jumps;  // hooks of this table that jump to their hook_chain(); sorted
  // Not decided yet: our existing rules stay as they are.
  std::set<Hook> left_hooks;
  std::set<ChainName> left_chains;

  bool operator==(const DesiredTable&) const = default;
};

/// Number of rules in the chains, jumps from the hooks not counted.
[[nodiscard]] std::size_t rule_count(const DesiredTable& desired);

}  // namespace nmanager::chains
