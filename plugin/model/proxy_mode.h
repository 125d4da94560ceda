// The mode and the health of kube-proxy.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace nmanager {

enum class ProxyMode : std::uint8_t { kAuto, kIptables, kIpvs, kNftables };

[[nodiscard]] constexpr std::string_view to_string(ProxyMode mode) {
  switch (mode) {
    case ProxyMode::kAuto:
      return "auto";
    case ProxyMode::kIptables:
      return "iptables";
    case ProxyMode::kIpvs:
      return "ipvs";
    case ProxyMode::kNftables:
      return "nftables";
  }
  return "?";
}

/// The state of kube-proxy, from all sources.
enum class ProxyHealth : std::uint8_t {
  kNotAsked,
  kSynced,
  kNotStarted,         // it does not answer, and none of its chains exist
  kDown,               // it does not answer while its chains exist
  kNeverSynced,        // it answers, but has not synced since it started
  kMetricsUnreadable,  // it answers, but its metrics cannot be used
  kJumpsGone,          // its chains exist, but no jump leads to them
  kSyncFails,          // it answers, but its writes for a family fail
};
inline constexpr std::array kProxyHealths{
    ProxyHealth::kNotAsked,  ProxyHealth::kSynced,      ProxyHealth::kNotStarted,
    ProxyHealth::kDown,      ProxyHealth::kNeverSynced, ProxyHealth::kMetricsUnreadable,
    ProxyHealth::kJumpsGone, ProxyHealth::kSyncFails};
[[nodiscard]] std::string_view to_string(ProxyHealth health);  // "not_asked", ...

}  // namespace nmanager
