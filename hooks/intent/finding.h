// The differences found in a table before it was repaired.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

namespace nmanager {

/// Why something had to be edited; names of the metric label `cause`.
enum class Cause : std::uint8_t {
  kJumpMissing,
  kJumpDisplaced,  // behind a KUBE-* jump
  kJumpDuplicated,
  kJumpAltered,
  kJumpLeftOver,  // a jump that is not desired (any more)
  kChainMissing,
  kChainLeftOver,
  kRuleMissing,
  kRuleForeign,  // a rule in our chain that is not ours, or no longer wanted
  kRuleOrder,
  kTableAltered,  // our nftables table: disabled, or of another version
  kSetMissing,
  kSetAltered,  // not of the expected type
  kSetLeftOver,
  kElementMissing,
  kElementForeign,
};
[[nodiscard]] std::string_view to_string(Cause cause);  // "jump_missing", ...

struct Finding {
  Cause cause = Cause::kJumpMissing;
  std::string where;  // chain name
  auto operator<=>(const Finding&) const = default;
};

}  // namespace nmanager
