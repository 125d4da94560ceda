// The mode that kube-proxy runs in, and how it is.
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

/// How the neighbour is, by all that is known of it.
enum class ProxyHealth : std::uint8_t {
  kNotAsked,
  kSynced,
  kNotStarted,         // it does not answer, and none of its chains stand
  kDown,               // it does not answer while its chains stand
  kNeverSynced,        // it answers, and has not synced since it started
  kMetricsUnreadable,  // it answers, but its metrics tell nothing
  kJumpsGone,          // its chains stand, and nothing leads to them
  kSyncFails,          // it answers, and what it writes for a family fails
};
inline constexpr std::array kProxyHealths{
    ProxyHealth::kNotAsked,  ProxyHealth::kSynced,      ProxyHealth::kNotStarted,
    ProxyHealth::kDown,      ProxyHealth::kNeverSynced, ProxyHealth::kMetricsUnreadable,
    ProxyHealth::kJumpsGone, ProxyHealth::kSyncFails};
[[nodiscard]] std::string_view to_string(ProxyHealth health);  // "not_asked", ...

}  // namespace nmanager
