#include "hooks/chains/wish.h"

#include <vector>

#include "hooks/chains/udp_change.h"

namespace nmanager::chains {

DesiredTable WholeWish::for_plan(const ObservedTable& /*observed*/) const {
  return table_;
}

UdpRules WholeWish::udp_rules() const {
  UdpRules rules;
  for (const auto& chain : table_.chains) add_udp_rules(chain.second, rules);
  return rules;
}

DesiredTable ExternalWish::for_plan(const ObservedTable& observed) const {
  if (!observed.only_differences) return chains_.whole();
  std::vector<ChainName> names(observed.missing.begin(), observed.missing.end());
  for (const auto& chain : observed.chains) names.push_back(chain.first);
  // Finding one chain by its name costs more than making it along with all others.
  constexpr std::size_t kWhole = 4;
  if (names.size() > chains_.digests().chains.size() / kWhole) return chains_.whole();
  return chains_.chains(names);
}

std::set<ChainName> ExternalWish::part(const std::set<ChainName>& missing,
                                       const std::set<ChainName>& differing,
                                       std::size_t rules) const {
  if (chains_.rules() <= rules) return {};
  return chains_.deepest(missing, differing, rules);
}

}  // namespace nmanager::chains
