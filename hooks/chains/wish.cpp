#include "hooks/chains/wish.h"

#include <vector>

#include "hooks/chains/udp_change.h"

namespace nmanager::chains {

DesiredTable WholeWish::for_plan(const ObservedTable& /*observed*/) const {
  return table_;
}

UdpSide WholeWish::udp() const {
  UdpSide side;
  for (const auto& chain : table_.chains) add_udp_rules(chain.second, side.rules);
  return side;
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

UdpSide ExternalWish::udp() const {
  UdpSide side;
  if (const ExternalCluster* cluster = chains_.of()) side.set_all(*cluster);
  return side;
}

std::set<ChainName> ExternalWish::first_of(const Differences& differences,
                                           std::size_t rules) const {
  if (chains_.rules() <= rules) return {};
  return chains_.deepest(differences.missing, differences.differing, rules);
}

Part Wish::part(const Differences& differences, const IsEmpty& is_empty, std::size_t rules) const {
  const std::size_t all = differences.missing.size() + differences.differing.size();
  const std::size_t at_once = rules / kLeafRules;
  if (all <= at_once) return {};
  Part part{first_of(differences, rules)};
  part.left = all - part.chains.size();
  if (!part.chains.empty()) return part;
  std::size_t emptied = 0;
  std::size_t left = 0;
  for (const ChainName& chain : differences.differing) {
    if (has(chain)) {
      part.chains.insert(chain);
    } else if (!is_empty(chain)) {
      if (emptied < at_once) part.chains.insert(chain);
      ++(emptied < at_once ? emptied : left);
    }
  }
  if (left == 0) return {};
  part.chains.insert(differences.missing.begin(), differences.missing.end());
  part.left = left;
  part.only_removals_left = true;
  return part;
}

}  // namespace nmanager::chains
