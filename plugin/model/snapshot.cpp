#include "plugin/model/snapshot.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <ctime>
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

std::string utc(WallTime time) {
  const std::time_t seconds =
      std::chrono::system_clock::to_time_t(std::chrono::floor<std::chrono::seconds>(time));
  const auto rest = std::chrono::duration_cast<std::chrono::milliseconds>(
                        time - std::chrono::floor<std::chrono::seconds>(time))
                        .count();
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", parts.tm_year + 1900,
                parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                static_cast<int>(rest));
  return buffer;
}

std::string sync_in_words(const KubeStatus& kube) {
  const std::string text = "its sync at " + utc(*kube.told_sync);
  if (!kube.told_is_verified) return text + " is not verified yet";
  if (!kube.told_verified) return text + " was before nmanager started, verified since";
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(*kube.told_verified);
  return text + " was verified " + std::to_string(ms.count()) + " ms later";
}

bool Snapshot::ready() const {
  const auto allows = [](const Check& check) { return check.ok || check.informational; };
  return !checks.empty() && std::ranges::all_of(checks, allows);
}

const Check* Snapshot::waits_for_kube_proxy() const {
  const Check* missing = nullptr;
  for (const Check& check : checks) {
    if (check.ok || check.informational) continue;
    if (missing != nullptr || check.name != kKubeProxySynced) return nullptr;
    missing = &check;
  }
  return missing;
}

}  // namespace nmanager
