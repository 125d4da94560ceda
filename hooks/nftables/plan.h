// The difference between the wanted and the observed table, as what one transaction has to do.
// Pure.
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
  std::optional<NativeRule> rule;  // nothing: none that is wanted
  std::optional<TableId> part;     // as its comment says
  RuleRef ref = 0;                 // its handle
  std::uint64_t packets = 0;
};

struct ObservedChain {
  std::optional<BaseChain> base;  // as it stands; a policy other than accept is none of ours
  bool drops = false;             // its policy is drop
  std::vector<ObservedRule> rules;
};

struct ObservedSet {
  bool as_made = true;   // key, data and flags are those of its name
  bool strange = false;  // holds elements that no Element can say, or that time out
  SharedElements elements = std::make_shared<const Elements>();  // the others, sorted
  bool is_map = false;
};

/// A counter, quota, flowtable... of a stranger: we make none.
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

// What a step is about.
struct OwnTable {
  bool exists = false;  // kAdd: it is only switched on again
};
struct ChainObject {
  std::string name;
  std::optional<BaseChain> base{};  // kAdd
};
struct RuleObject {
  std::string chain;
  std::optional<RuleRef> ref;        // kDelete: this one; kAdd: before it, nothing: at the end
  std::optional<NativeRule> rule{};  // kAdd
};
struct SetObject {
  std::string name;
  bool is_map = false;
};
struct ElementsObject {
  SetId set;
  Elements elements;
};
using Object =
    std::variant<OwnTable, ChainObject, RuleObject, SetObject, ElementsObject, OtherObject>;

struct Step {
  Verb verb = Verb::kAdd;
  Object object;
};

enum class TableFate : std::uint8_t { kStays, kMade, kReplaced, kWoken, kDeleted };

struct Plan {
  /// What strangers put into the table. A transaction of its own, before the other one: when the
  /// kernel refuses a part of it, that holds up nothing of ours.
  std::vector<Step> evictions;
  std::vector<Step> steps;  // one transaction, in this order
  TableFate table = TableFate::kStays;
  std::map<TableId, std::vector<Finding>> findings;  // sorted, unique

  [[nodiscard]] bool empty() const { return evictions.empty() && steps.empty(); }
};

using Wanted = std::map<TableId, std::shared_ptr<const Ruleset>>;  // never null

/// Parts that `wanted` does not name are left as they stand. What strangers put into our table is
/// taken out. A table in which nothing would be left is deleted.
[[nodiscard]] Plan make_plan(const Wanted& wanted, const Observed& observed);

/// What `plan`, made from the other two, changes for flows of UDP to external addresses of `part`.
[[nodiscard]] UdpChange udp_change(TableId part, const Wanted& wanted, const Observed& observed,
                                   const Plan& plan);

}  // namespace nmanager::nftables
