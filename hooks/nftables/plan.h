// The difference between the wanted and the observed table, as what one transaction has to do.
// Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "hooks/chains/observed.h"
#include "hooks/chains/plan.h"
#include "hooks/conntrack/stale_flows.h"
#include "hooks/nftables/ruleset.h"

namespace nmanager::nftables {

struct ObservedRule {
  std::optional<Rule> rule;     // nothing: none that is wanted
  std::optional<TableId> part;  // as its comment says
  RuleRef ref = 0;              // its handle
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
};

struct Observed {
  bool exists = false;
  bool dormant = false;     // switched off (NFT_TABLE_F_DORMANT)
  bool old_layout = false;  // ours, of another version
  std::map<std::string, ObservedChain> chains;
  std::map<std::string, ObservedSet> sets;
};

enum class Make : std::uint8_t {
  kStay,
  kCreate,
  kReplace,  // it stands, but is not as it has to be: made anew under its name
  kDelete,
};

struct ChainPlan {
  std::string chain;
  Make make = Make::kStay;
  std::optional<BaseChain> base;  // kCreate, kReplace
};

/// Rules of one part in one chain, or a stranger's to be taken out. An Insert goes before the next
/// kept rule of the same edits, else to the end of the chain.
struct RuleEdits {
  std::string chain;
  std::vector<EditStepOf<Rule>> steps;
};

struct SetPlan {
  std::string name;
  std::optional<SetId> id;  // nothing: a stranger's, to be deleted
  Make make = Make::kStay;
  bool flush = false;  // kStay: take every element out first
  Elements add;
  Elements remove;
};

/// Order of execution: the table, deletions of rules, of sets and chains, of elements; then sets,
/// elements, chains, rules.
struct Plan {
  bool create_table = false;
  bool replace_table = false;  // delete it, then create it
  bool delete_table = false;   // nothing else is done then
  bool wake_table = false;     // it is dormant
  std::vector<ChainPlan> chains;
  std::vector<RuleEdits> rules;
  std::vector<SetPlan> sets;
  std::map<TableId, std::vector<Finding>> findings;  // sorted, unique

  [[nodiscard]] bool empty() const {
    return !create_table && !replace_table && !delete_table && !wake_table && chains.empty() &&
           rules.empty() && sets.empty();
  }
};

using Wanted = std::map<TableId, std::shared_ptr<const Ruleset>>;  // never null

/// Parts that `wanted` does not name are left as they stand. Chains and sets of nobody in our table
/// are taken out. A table in which nothing would be left is deleted.
[[nodiscard]] Plan make_plan(const Wanted& wanted, const Observed& observed);

/// What `plan`, made from the other two, changes for flows of UDP to external addresses of `part`.
[[nodiscard]] UdpChange udp_change(TableId part, const Wanted& wanted, const Observed& observed,
                                   const Plan& plan);

}  // namespace nmanager::nftables
