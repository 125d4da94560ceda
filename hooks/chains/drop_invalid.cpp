#include "hooks/chains/chain_table.h"

namespace nmanager::chains {

DesiredTable drop_invalid_chains(Family family, const DropInvalid& drop) {
  DesiredTable table;
  const ChainName outer = *hook_chain(Table::kFilter, drop.hook);
  const ChainName inner = drop_chain(drop.hook);
  if (drop.action == InvalidAction::kLeave) {
    table.left_hooks.insert(drop.hook);
    table.left_chains.insert({outer, inner});
    return table;
  }
  // One match for a valid packet, for any number of rules after it: the source first, since this
  // costs less than a conntrack lookup. INPUT's jump is plain, as in network-node-manager.
  Rule jump;
  jump.source = drop.source;
  jump.state_invalid = drop.source.has_value();
  jump.target = Jump{inner};
  table.jumps.push_back(drop.hook);
  table.chains[outer] = {jump};
  std::vector<Rule>& rules = table.chains[inner];
  for (const InvalidRule& one : rules_of(family, drop)) {
    Rule rule;
    rule.source = one.source;
    rule.destination = one.destination;
    rule.in_interface = one.in_interface;
    rule.tcp_flags = one.tcp_flags;
    if (one.tcp_flags.mask != 0) rule.protocol = Protocol::kTcp;
    // Repeated, so that a foreign jump to this chain causes drops of INVALID packets only.
    rule.state_invalid = one.counts;
    std::visit([&](const auto& verdict) { rule.target = verdict; }, one.verdict);
    rules.push_back(std::move(rule));
  }
  return table;
}

std::optional<InvalidCounter> counter_of(const ChainName& chain, const Rule& rule) {
  if (!rule.state_invalid || std::holds_alternative<Jump>(rule.target)) return std::nullopt;
  return nmanager::counter_of(chain.view(), std::holds_alternative<Drop>(rule.target),
                              rule.tcp_flags);
}

}  // namespace nmanager::chains
