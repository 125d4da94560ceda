#include "hooks/rules/families.h"

namespace nmanager {

namespace {

Rule jump_to(const ChainName& chain) {
  Rule rule;
  rule.target = Jump{chain};
  return rule;
}

std::vector<Rule> exemptions(Family family, const DropInvalidSettings& settings) {
  std::vector<Rule> rules;
  const auto exempt = [&](auto&& set) {
    Rule rule;
    rule.target = Return{};
    set(rule);
    rules.push_back(std::move(rule));
  };
  for (const std::string& interface : settings.exempt_interfaces) {
    exempt([&](Rule& rule) { rule.in_interface = interface; });
  }
  for (const Prefix& source : settings.exempt_sources) {
    if (source.family() == family) exempt([&](Rule& rule) { rule.source = source; });
  }
  for (const Prefix& destination : settings.exempt_destinations) {
    if (destination.family() == family) {
      exempt([&](Rule& rule) { rule.destination = destination; });
    }
  }
  return rules;
}

}  // namespace

DesiredTable drop_invalid_table(Family family, const DropInvalidSettings& settings) {
  const ChainName input = *hook_chain(Table::kFilter, Hook::kInput);
  const ChainName drop("NMANAGER_DROP_INVALID_INPUT");
  DesiredTable table;
  table.jumps = {Hook::kInput};
  table.chains[input] = {jump_to(drop)};
  std::vector<Rule> rules = exemptions(family, settings);
  Rule rule;
  rule.state_invalid = true;
  rule.target = Drop{};
  rules.push_back(std::move(rule));
  table.chains[drop] = std::move(rules);
  return table;
}

}  // namespace nmanager
