#include "hooks/intent/sources.h"

#include <algorithm>
#include <set>

namespace nmanager {

std::vector<Prefix> outermost(std::span<const Prefix> prefixes, Family family) {
  std::set<Prefix> all;
  for (const Prefix& prefix : prefixes) {
    if (prefix.family() == family) all.insert(prefix);
  }
  std::vector<Prefix> result;
  for (const Prefix& prefix : all) {
    const bool covered = std::ranges::any_of(
        all, [&](const Prefix& other) { return other != prefix && other.contains(prefix); });
    if (!covered) result.push_back(prefix);
  }
  return result;
}

}  // namespace nmanager
