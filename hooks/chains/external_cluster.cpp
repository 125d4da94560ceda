#include <algorithm>
#include <cstdint>
#include <utility>

#include "hooks/chains/chain_table.h"
#include "hooks/chains/ports.h"
#include "hooks/chains/prefix_tree.h"
#include "hooks/intent/sources.h"

namespace nmanager::chains {

namespace {

const ChainName& mark_chain() {
  static const ChainName name("NMANAGER_MARK_MASQ");
  return name;
}

/// The two parts of the family: the source of the traffic, and the hook.
struct Half {
  Hook hook;
  std::string_view chain;
  std::string_view child_prefix;
  std::optional<Prefix> source;  // of pods; a /0 is omitted
  bool source_is_local;
};

/// The -s of the rules, one rule each; empty: no source is allowed on this path.
std::vector<std::optional<Prefix>> sources_of(const ExternalAddress& entry, const Half& half) {
  if (entry.allowed_sources.empty()) return {half.source};
  std::vector<Prefix> sources;
  for (const Prefix& allowed : entry.allowed_sources) {
    const auto source = half.source ? intersect(allowed, *half.source) : allowed;
    if (source) sources.push_back(*source);
  }
  std::vector<std::optional<Prefix>> result;
  for (const Prefix& source : outermost(sources, entry.external.family())) {
    result.push_back(source.length() == 0 ? std::nullopt : std::optional(source));
  }
  return result;
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
  for (const auto& source : sources_of(entry, half)) {
    Rule rule;
    rule.source = source;
    rule.destination = Prefix::host(entry.external);
    rule.source_is_local = half.source_is_local;
    rule.comment = entry.owner;
    if (match == MatchBy::kAddress) {
      add_pair(rules, rule, entry.cluster);
      continue;
    }
    for (const ExternalAddress::Ports& ports : entry.ports) {
      rule.protocol = ports.protocol;
      for (PortSet& set : group_ports(ports.ports)) {
        rule.destination_ports = std::move(set);
        add_pair(rules, rule, entry.cluster);
      }
    }
  }
}

void add_half(DesiredTable& table, const std::vector<ExternalAddress>& addresses, const Half& half,
              MatchBy match) {
  std::vector<AddressRules> groups;
  for (const ExternalAddress& entry : addresses) {
    if (groups.empty() || groups.back().destination != entry.external) {
      groups.push_back({entry.external, {}});
    }
    add_rules(groups.back().rules, entry, half, match);
  }
  std::erase_if(groups, [](const AddressRules& group) { return group.rules.empty(); });
  const ChainName chain(half.chain);
  Rule jump;
  jump.target = Jump{chain};
  table.jumps.push_back(half.hook);
  table.chains[*hook_chain(Table::kNat, half.hook)] = {jump};
  add_prefix_tree(table, chain, half.child_prefix, std::move(groups));
}

}  // namespace

DesiredTable external_cluster_chains(const ExternalCluster& external) {
  const ExternalClusterSettings& settings = external.settings;
  DesiredTable table;
  if (settings.pod_cidr) {
    const auto& cidr = *settings.pod_cidr;
    add_half(table, external.addresses,
             {Hook::kPrerouting, "NMANAGER_EX_CLUS_PREROUTING", "NMANAGER_PRE_",
              cidr.length() == 0 ? std::nullopt : std::optional(cidr), false},
             settings.match);
  }
  add_half(table, external.addresses,
           {Hook::kOutput, "NMANAGER_EX_CLUS_OUTPUT", "NMANAGER_OUT_", std::nullopt, true},
           settings.match);
  const std::uint32_t bit = std::uint32_t{1} << static_cast<unsigned>(settings.masquerade_bit);
  Rule mark;
  mark.target = SetMark{bit, bit};
  table.chains[mark_chain()] = {mark};
  return table;
}

}  // namespace nmanager::chains
