#include "hooks/chains/chain_table.h"

#include <algorithm>
#include <utility>

namespace nmanager::chains {

namespace {

struct ChainsOf {
  Family family;

  DesiredTable operator()(const DropInvalid& drop) const {
    return drop_invalid_chains(family, drop);
  }
  DesiredTable operator()(const ExternalCluster& external) const {
    return external_cluster_chains(external);
  }
};

}  // namespace

DesiredTable chain_table(Family family, const TableSpec& spec) {
  DesiredTable table;
  for (const RuleFamily& one : spec.families) {
    DesiredTable part = std::visit(ChainsOf{family}, one);
    table.chains.merge(part.chains);
    table.jumps.insert(table.jumps.end(), part.jumps.begin(), part.jumps.end());
    table.left_hooks.merge(part.left_hooks);
    table.left_chains.merge(part.left_chains);
  }
  std::ranges::sort(table.jumps);
  return table;
}

}  // namespace nmanager::chains
