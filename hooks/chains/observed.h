// The observed content of one table, as far as we need it. Foreign rules are only positions.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "hooks/values/edit_script.h"
#include "hooks/values/kube_chain.h"
#include "hooks/values/rule.h"
#include "hooks/values/table.h"

namespace nmanager::chains {

struct ObservedRule {
  std::optional<Rule> rule;  // nullopt: not byte for byte a rule that we write
  RuleRef ref = 0;
  std::uint64_t packets = 0;  // the rule's packet counter; read only if `rule` is set
};

using ObservedChain = std::vector<ObservedRule>;

struct HookRule {
  enum class Kind : std::uint8_t {
    kOwnJump,         // plain jump to the hook's own chain
    kOwnJumpAltered,  // a jump or goto to the hook's own chain with matches or a comment: ours,
                      // edited
    kStrayJump,       // to another chain of ours: one that was renamed, or of an older version
    kKubeJump,        // jump or goto to a chain of kube-proxy's or kubelet's, whatever its matches
    kForeign,
  };
  Kind kind = Kind::kForeign;
  RuleRef ref = 0;
};

/// Classifies a rule of a hook by the chain that it jumps or goes to (empty: none). `decode`
/// returns it as a Rule if it is one that we could write; it is called only for a jump to `own`,
/// the hook's own chain.
template <class Decode>
[[nodiscard]] HookRule::Kind kind_of_hook_rule(const ChainName& own, std::string_view jump_to,
                                               Decode&& decode) {
  using Kind = HookRule::Kind;
  if (jump_to == own.view()) {
    const std::optional<Rule> rule = decode();
    const bool plain = rule && is_plain(*rule) && !std::get<Jump>(rule->target).go_to;
    return plain ? Kind::kOwnJump : Kind::kOwnJumpAltered;
  }
  if (is_own_chain(jump_to)) return Kind::kStrayJump;
  return is_kube_chain(jump_to) ? Kind::kKubeJump : Kind::kForeign;
}

/// Which of our chains are not as expected.
struct Differences {
  std::set<ChainName> differing;  // exist but are not as expected, or are not expected
  std::set<ChainName> missing;
};

/// Those that one commit shall write, while the others are left for later ones.
struct Part {
  std::set<ChainName> chains;  // empty: all of them, nothing is left
  std::size_t left = 0;
  /// All that is expected is in the part: what is left has to be emptied.
  bool only_removals_left = false;
};

struct ObservedTable {
  std::map<ChainName, ObservedChain> chains;    // every chain with kOwnChainPrefix
  std::map<Hook, std::vector<HookRule>> hooks;  // hooks_of() this table;
                                                // a base chain that does not exist is an empty list
  /// Why the rules of this table, or of one of `hooks`, have no effect; one line. Empty: they have.
  std::string inert = {};
  std::optional<bool> kube_drops_invalid;  // SyncReport has the same

  /// Result of begin_expecting(): `chains` has only those of our chains that are not as expected,
  /// and `missing` names the expected ones that do not exist. Every other expected chain exists
  /// with exactly the expected rules.
  bool only_differences = false;
  std::set<ChainName> missing;
  /// Only a Part of them is in the two; so many more are left for later commits.
  std::size_t left = 0;
  bool only_removals_left = false;
  bool unread = false;      // or so many chains were not read yet, and only `hooks` is complete
  bool hooks_wait = false;  // then: a chain that a hook shall jump to does not exist yet
};

}  // namespace nmanager::chains
