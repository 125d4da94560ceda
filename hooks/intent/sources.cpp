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

std::vector<std::optional<Prefix>> sources_of(const ExternalAddress& entry,
                                              const std::optional<Prefix>& within) {
  const auto unless_all = [](const Prefix& source) {
    return source.length() == 0 ? std::nullopt : std::optional(source);
  };
  if (entry.allowed_sources.empty()) return {within ? unless_all(*within) : std::nullopt};
  std::vector<Prefix> sources;
  for (const Prefix& allowed : entry.allowed_sources) {
    const auto source = within ? intersect(allowed, *within) : allowed;
    if (source) sources.push_back(*source);
  }
  std::vector<std::optional<Prefix>> result;
  for (const Prefix& source : outermost(sources, entry.external.family())) {
    result.push_back(unless_all(source));
  }
  return result;
}

}  // namespace nmanager
