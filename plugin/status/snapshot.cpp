#include "plugin/status/snapshot.h"

#include <algorithm>
#include <numeric>

namespace nmanager {

void Histogram::observe(std::chrono::nanoseconds value) {
  const double seconds = std::chrono::duration<double>(value).count();
  const auto bound = std::ranges::lower_bound(kBounds, seconds);
  ++counts[static_cast<std::size_t>(bound - kBounds.begin())];
  sum += seconds;
}

std::uint64_t Histogram::total() const {
  return std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
}

bool Snapshot::ready() const {
  const auto allows = [](const Check& check) { return check.ok || check.informational; };
  return !checks.empty() && std::ranges::all_of(checks, allows);
}

}  // namespace nmanager
