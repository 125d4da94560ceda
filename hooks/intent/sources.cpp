#include "hooks/intent/sources.h"

#include <algorithm>

namespace nmanager {

std::vector<Prefix> outermost(std::span<const Prefix> prefixes, Family family) {
  std::vector<Prefix> all;
  for (const Prefix& prefix : prefixes) {
    if (prefix.family() == family) all.push_back(prefix);
  }
  std::ranges::sort(all);  // by address, then length: a block precedes all that it contains
  std::vector<Prefix> result;
  for (const Prefix& prefix : all) {
    if (result.empty() || !result.back().contains(prefix)) result.push_back(prefix);
  }
  return result;
}

}  // namespace nmanager
