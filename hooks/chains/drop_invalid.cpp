#include "hooks/chains/chain_table.h"

namespace nmanager::chains {

namespace {

Rule jump_to(const ChainName& chain) {
  Rule rule;
  rule.target = Jump{chain};
  return rule;
}

std::vector<Rule> exemptions(Family family, const DropInvalid& drop) {
  std::vector<Rule> rules;
  const auto exempt = [&](auto&& set) {
    Rule rule;
    rule.target = Return{};
    set(rule);
    rules.push_back(std::move(rule));
  };
  for (const std::string& interface : drop.exempt_interfaces) {
    exempt([&](Rule& rule) { rule.in_interface = interface; });
  }
  for (const Prefix& source : drop.exempt_sources) {
    if (source.family() == family) exempt([&](Rule& rule) { rule.source = source; });
  }
  for (const Prefix& destination : drop.exempt_destinations) {
    if (destination.family() == family) {
      exempt([&](Rule& rule) { rule.destination = destination; });
    }
  }
  return rules;
}

}  // namespace

DesiredTable drop_invalid_chains(Family family, const DropInvalid& drop) {
  const ChainName input = *hook_chain(Table::kFilter, Hook::kInput);
  const ChainName inner("NMANAGER_DROP_INVALID_INPUT");
  DesiredTable table;
  table.jumps = {Hook::kInput};
  table.chains[input] = {jump_to(inner)};
  std::vector<Rule> rules = exemptions(family, drop);
  Rule rule;
  rule.state_invalid = true;
  rule.target = Drop{};
  rules.push_back(std::move(rule));
  table.chains[inner] = std::move(rules);
  return table;
}

}  // namespace nmanager::chains
