// The xt matches and targets that our rules use, each with the revision that iptables 1.8.9 chooses
// on every kernel since 4.18 (nf_nat_range2). Pure.
#pragma once

#include <compare>
#include <cstdint>
#include <string_view>
#include <vector>

#include "hooks/values/rule.h"

namespace nmanager::xt {

/// An xt match or target of the kernel.
struct Extension {
  std::string_view name;
  std::uint8_t revision = 0;
  bool is_target = false;
  auto operator<=>(const Extension&) const = default;
};

inline constexpr Extension kComment{"comment", 0, false};
inline constexpr Extension kAddrtype{"addrtype", 1, false};
inline constexpr Extension kConntrack{"conntrack", 3, false};
inline constexpr Extension kMultiport{"multiport", 1, false};
inline constexpr Extension kTcp{"tcp", 0, false};
inline constexpr Extension kUdp{"udp", 0, false};
inline constexpr Extension kDnat{"DNAT", 2, true};
inline constexpr Extension kMark{"MARK", 2, true};

/// True when the ports need `-m multiport`; otherwise the protocol's own match can express them.
[[nodiscard]] bool uses_multiport(const Rule& rule);

/// The extensions that the kernel must have for `rule`. The result includes kTcp and kUdp:
/// iptables-nft expresses them with nf_tables expressions, so its caller skips them.
[[nodiscard]] std::vector<Extension> extensions_of(const Rule& rule);

}  // namespace nmanager::xt
