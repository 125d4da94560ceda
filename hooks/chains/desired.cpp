#include "hooks/chains/desired.h"

namespace nmanager::chains {

std::size_t rule_count(const DesiredTable& desired) {
  std::size_t count = 0;
  for (const auto& chain : desired.chains) count += chain.second.size();
  return count;
}

}  // namespace nmanager::chains
