#include <span>
#include <utility>

#include "hooks/chains/chain_table.h"
#include "hooks/chains/external_rules.h"
#include "hooks/chains/prefix_tree.h"

namespace nmanager::chains {

DesiredTable external_cluster_chains(const ExternalCluster& external) {
  DesiredTable table = frame_of(external.settings);
  for (const Half& half : halves_of(external.settings)) {
    std::vector<AddressRules> groups;
    for (const auto& [address, entries] : external.addresses.map()) {
      std::vector<Rule> rules = rules_of(*entries, half, external.settings.match);
      if (!rules.empty()) groups.push_back({address, std::move(rules)});
    }
    add_prefix_tree(table, ChainName(half.chain), half.child_prefix, std::move(groups));
  }
  return table;
}

}  // namespace nmanager::chains
