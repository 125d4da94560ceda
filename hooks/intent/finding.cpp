#include "hooks/intent/finding.h"

namespace nmanager {

std::string_view to_string(Cause cause) {
  switch (cause) {
    case Cause::kJumpMissing:
      return "jump_missing";
    case Cause::kJumpDisplaced:
      return "jump_displaced";
    case Cause::kJumpDuplicated:
      return "jump_duplicated";
    case Cause::kJumpAltered:
      return "jump_altered";
    case Cause::kJumpLeftOver:
      return "jump_left_over";
    case Cause::kChainMissing:
      return "chain_missing";
    case Cause::kChainLeftOver:
      return "chain_left_over";
    case Cause::kRuleMissing:
      return "rule_missing";
    case Cause::kRuleForeign:
      return "rule_foreign";
    case Cause::kRuleOrder:
      return "rule_order";
    case Cause::kTableAltered:
      return "table_altered";
    case Cause::kSetMissing:
      return "set_missing";
    case Cause::kSetAltered:
      return "set_altered";
    case Cause::kSetLeftOver:
      return "set_left_over";
    case Cause::kElementMissing:
      return "element_missing";
    case Cause::kElementForeign:
      return "element_foreign";
  }
  return "?";
}

}  // namespace nmanager
