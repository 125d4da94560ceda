#include "hooks/chains/external_rules.h"

#include <cstdint>
#include <utility>

#include "hooks/chains/ports.h"
#include "hooks/intent/sources.h"

namespace nmanager::chains {

namespace {

const ChainName& mark_chain() {
  static const ChainName name("NMANAGER_MARK_MASQ");
  return name;
}

/// Mark for masquerade, then translate: the same match twice.
void add_pair(std::vector<Rule>& rules, Rule match, const Address& cluster) {
  match.target = Jump{mark_chain()};
  rules.push_back(match);
  match.target = Dnat{cluster};
  rules.push_back(std::move(match));
}

void add_rules(std::vector<Rule>& rules, const ExternalAddress& entry, const Half& half,
               MatchBy match) {
  for (const auto& source : sources_of(entry, half.source)) {
    Rule rule;
    rule.source = source;
    rule.destination = Prefix::host(entry.external);
    rule.source_is_local = half.source_is_local;
    rule.comment = entry.owner;
    if (match == MatchBy::kAddress) {
      add_pair(rules, rule, entry.cluster);
      continue;
    }
    for (PortGroup& group : group_ports(entry.ports)) {
      rule.protocol = group.protocol;
      rule.destination_ports = std::move(group.ports);
      add_pair(rules, rule, entry.cluster);
    }
  }
}

}  // namespace

std::vector<Half> halves_of(const ExternalClusterSettings& settings) {
  std::vector<Half> halves;
  if (settings.pod_cidr) {
    halves.push_back({Hook::kPrerouting, "NMANAGER_EX_CLUS_PREROUTING", "NMANAGER_PRE_",
                      settings.pod_cidr, false});
  }
  halves.push_back({Hook::kOutput, "NMANAGER_EX_CLUS_OUTPUT", "NMANAGER_OUT_", std::nullopt, true});
  return halves;
}

std::vector<Rule> rules_of(std::span<const ExternalAddress> entries, const Half& half,
                           MatchBy match) {
  std::vector<Rule> rules;
  rules.reserve(2 * entries.size());  // often all
  for (const ExternalAddress& entry : entries) add_rules(rules, entry, half, match);
  return rules;
}

std::size_t count_rules(std::span<const ExternalAddress> entries, const Half& half, MatchBy match) {
  std::size_t count = 0;
  for (const ExternalAddress& entry : entries) {
    const std::size_t pairs = match == MatchBy::kAddress ? 1 : group_ports(entry.ports).size();
    count += 2 * pairs * sources_of(entry, half.source).size();
  }
  return count;
}

DesiredTable frame_of(const ExternalClusterSettings& settings) {
  DesiredTable table;
  for (const Half& half : halves_of(settings)) {
    Rule jump;
    jump.target = Jump{ChainName(half.chain)};
    table.jumps.push_back(half.hook);
    table.chains[*hook_chain(Table::kNat, half.hook)] = {jump};
  }
  const std::uint32_t bit = std::uint32_t{1} << static_cast<unsigned>(settings.masquerade_bit);
  Rule mark;
  mark.target = SetMark{bit, bit};
  table.chains[mark_chain()] = {mark};
  return table;
}

}  // namespace nmanager::chains
