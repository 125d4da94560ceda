// What stands in one table, as far as it is our business. Rules of strangers are only seen as
// places.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "hooks/values/edit_script.h"
#include "hooks/values/rule.h"
#include "hooks/values/table.h"

namespace nmanager::chains {

struct ObservedRule {
  std::optional<Rule> rule;  // nothing: a rule that is not byte for byte one we would write
  RuleRef ref = 0;
  std::uint64_t packets = 0;  // the rule's packet counter
};

using ObservedChain = std::vector<ObservedRule>;

struct HookRule {
  enum class Kind : std::uint8_t {
    kOwnJump,         // plain jump to the hook's own chain
    kOwnJumpAltered,  // a jump or goto to the hook's own chain with matches or a comment: ours,
                      // edited
    kKubeJump,        // jump or goto to a KUBE-* chain, whatever its matches
    kForeign,
  };
  Kind kind = Kind::kForeign;
  RuleRef ref = 0;
};

struct ObservedTable {
  std::map<ChainName, ObservedChain> chains;    // every chain with kOwnChainPrefix
  std::map<Hook, std::vector<HookRule>> hooks;  // every hook of this table that hook_chain() names;
                                                // a base chain that does not exist is an empty list

  /// The answer to Backend::begin_expecting(): `chains` shows only the own chains that are not as
  /// expected, and `missing` names the expected ones that do not exist. Every other expected chain
  /// stands, with just the expected rules.
  bool only_differences = false;
  std::set<ChainName> missing;
};

}  // namespace nmanager::chains
