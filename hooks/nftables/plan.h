// The difference between the wanted and the observed table, as the steps of one transaction. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "hooks/intent/finding.h"
#include "hooks/intent/udp_change.h"
#include "hooks/nftables/ruleset.h"
#include "hooks/values/edit_script.h"

namespace nmanager::nftables {

struct ObservedRule {
  std::optional<NativeRule> rule;  // nullopt: not a rule that we write
  std::optional<TableId> part;     // from its comment
  RuleRef ref = 0;                 // its handle
  std::uint64_t packets = 0;
};

struct ObservedChain {
  std::optional<BaseChain> base;  // as observed; a policy other than accept is not ours
  bool drops = false;             // its policy is drop
  std::vector<ObservedRule> rules;
};

struct ObservedSet {
  bool as_made = true;   // key, data and flags match its name
  bool strange = false;  // has elements that no Element can express, or with a timeout
  SharedElements elements = std::make_shared<const Elements>();  // the others, sorted
  bool is_map = false;
};

/// A foreign counter, quota, flowtable...: we create none.
struct OtherObject {
  static constexpr std::uint32_t kFlowtable = ~std::uint32_t{0};
  std::uint32_t type = 0;  // NFT_OBJECT_*, or kFlowtable
  std::string name;
};

struct Observed {
  bool exists = false;
  bool dormant = false;     // switched off (NFT_TABLE_F_DORMANT)
  bool old_layout = false;  // ours, of another version
  std::map<std::string, ObservedChain> chains;
  std::map<std::string, ObservedSet> sets;
  std::vector<OtherObject> others;
};

enum class Verb : std::uint8_t { kAdd, kFlush, kDelete };

// The objects of steps.
struct OwnTable {
  bool exists = false;  // kAdd: it is only enabled again
};
struct ChainObject {
  std::string name;
  std::optional<BaseChain> base{};  // kAdd
};
struct RuleObject {
  std::string chain;
  std::optional<RuleRef> ref;        // kDelete: this one; kAdd: before it, nullopt: at the end
  std::optional<NativeRule> rule{};  // kAdd
};
struct SetObject {
  std::string name;
  bool is_map = false;
};
struct ElementsObject {
  SetId set;
  SharedElements elements;  // never null
};
using Object =
    std::variant<OwnTable, ChainObject, RuleObject, SetObject, ElementsObject, OtherObject>;

struct Step {
  Verb verb = Verb::kAdd;
  Object object;
};

enum class TableFate : std::uint8_t { kStays, kMade, kReplaced, kWoken, kDeleted };

struct Plan {
  /// Removal of foreign objects. A separate transaction before the other one: if the kernel refuses
  /// a part of it, our own steps are not delayed.
  std::vector<Step> evictions;
  std::vector<Step> steps;  // one transaction, in this order
  TableFate table = TableFate::kStays;
  std::map<TableId, std::vector<Finding>> findings;  // sorted, unique

  [[nodiscard]] bool empty() const { return evictions.empty() && steps.empty(); }
};

using Wanted = std::map<TableId, std::shared_ptr<const Ruleset>>;  // never null

/// Parts that `wanted` does not name stay as they are. Foreign objects in our table are removed. A
/// table that would become empty is deleted.
[[nodiscard]] Plan make_plan(const Wanted& wanted, const Observed& observed);

}  // namespace nmanager::nftables
