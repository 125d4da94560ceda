#include "hooks/nftables/plan.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

#include "hooks/values/edit_script.h"

namespace nmanager::nftables {

namespace {

class Planner {
 public:
  Planner(const Wanted& wanted, const Observed& observed) : wanted_(wanted), observed_(observed) {}

  Plan make() {
    const bool starts_over = !observed_.exists || observed_.old_layout;
    plan_.replace_table = observed_.exists && observed_.old_layout;
    plan_.create_table = starts_over;
    plan_.wake_table = observed_.exists && observed_.dormant && !starts_over;
    if (plan_.replace_table || plan_.wake_table) find_everywhere(Cause::kTableAltered, kTableName);
    if (!starts_over) {
      seen_chains_ = &observed_.chains;
      seen_sets_ = &observed_.sets;
    }
    plan_sets();
    plan_chains();
    if (!something_stays_) {
      plan_.delete_table = observed_.exists;
      plan_.create_table = plan_.replace_table = plan_.wake_table = false;
      plan_.chains.clear();
      plan_.rules.clear();
      plan_.sets.clear();
      if (plan_.delete_table && plan_.findings.empty()) {
        find_somewhere(Cause::kChainLeftOver, kTableName);  // an empty table
      }
    }
    for (auto& [part, findings] : plan_.findings) {
      std::ranges::sort(findings);
      findings.erase(std::unique(findings.begin(), findings.end()), findings.end());
    }
    return std::move(plan_);
  }

 private:
  void find(TableId part, Cause cause, std::string_view where) {
    plan_.findings[part].push_back({cause, std::string(where)});
  }
  void find_everywhere(Cause cause, std::string_view where) {
    for (const auto& entry : wanted_) find(entry.first, cause, where);
  }
  /// Of something that belongs to no part: told once.
  void find_somewhere(Cause cause, std::string_view where) {
    if (!wanted_.empty()) find(wanted_.begin()->first, cause, where);
  }

  void plan_sets() {
    for (const auto& [part, ruleset] : wanted_) {
      for (const auto& [id, elements] : ruleset->sets) plan_set(part, id, elements);
    }
    for (const auto& [name, seen] : *seen_sets_) {
      const auto id = set_of(name);
      const auto part = id ? wanted_.find(part_of(*id)) : wanted_.end();
      if (id && part == wanted_.end()) {
        something_stays_ = true;  // of a part that is left alone
        continue;
      }
      if (id && part->second->sets.contains(*id)) continue;
      if (id) {
        find(part->first, Cause::kSetLeftOver, name);
      } else {
        find_somewhere(Cause::kSetLeftOver, name);
      }
      plan_.sets.push_back({name, id, Make::kDelete, false, {}, {}});
    }
  }

  void plan_set(TableId part, const SetId& id, const SharedElements& elements) {
    something_stays_ = true;
    SetPlan plan{name_of(id), id, Make::kStay, false, {}, {}};
    const auto found = seen_sets_->find(plan.name);
    if (found == seen_sets_->end()) {
      plan.make = Make::kCreate;
      find(part, Cause::kSetMissing, plan.name);
    } else if (!found->second.as_made) {
      plan.make = Make::kReplace;
      remade_.insert(part);
      find(part, Cause::kSetAltered, plan.name);
    } else if (found->second.strange) {
      plan.flush = true;
      find(part, Cause::kElementForeign, plan.name);
    }
    if (plan.make != Make::kStay || plan.flush) {
      plan.add = *elements;
      plan_.sets.push_back(std::move(plan));
      return;
    }
    const SharedElements& stand = found->second.elements;
    if (elements == stand) return;
    std::ranges::set_difference(*elements, *stand, std::back_inserter(plan.add));
    std::ranges::set_difference(*stand, *elements, std::back_inserter(plan.remove));
    if (plan.add.empty() && plan.remove.empty()) return;
    if (!plan.add.empty()) find(part, Cause::kElementMissing, plan.name);
    if (!plan.remove.empty()) find(part, Cause::kElementForeign, plan.name);
    plan_.sets.push_back(std::move(plan));
  }

  void plan_chains() {
    std::set<std::string> names;
    for (const auto& entry : wanted_) {
      for (const auto& chain : entry.second->chains) names.insert(chain.first.str());
    }
    for (const auto& entry : *seen_chains_) names.insert(entry.first);
    for (const std::string& name : names) plan_chain(name);
  }

  [[nodiscard]] bool left_alone(const ObservedRule& seen) const {
    return seen.part && !wanted_.contains(*seen.part);
  }
  [[nodiscard]] const std::vector<Rule>& rules_of(const Ruleset& part,
                                                  const std::string& chain) const {
    static const std::vector<Rule> kNone;
    for (const auto& [name, rules] : part.chains) {
      if (name.str() == chain) return rules;
    }
    return kNone;
  }

  void plan_chain(const std::string& name) {
    const auto found = seen_chains_->find(name);
    const ObservedChain* seen = found == seen_chains_->end() ? nullptr : &found->second;
    const bool wanted = std::ranges::any_of(
        wanted_, [&](const auto& part) { return !rules_of(*part.second, name).empty(); });
    if (!wanted && (seen == nullptr || !std::ranges::any_of(seen->rules, [&](const auto& rule) {
                      return left_alone(rule);
                    }))) {
      if (seen != nullptr) delete_chain(name, *seen);
      return;
    }
    something_stays_ = true;
    const auto base = base_of(ChainName(name));
    ChainPlan plan{name, Make::kStay, base};
    if (seen == nullptr) {
      plan.make = Make::kCreate;
    } else if (wanted && (seen->base != base || seen->drops)) {
      plan.make = Make::kReplace;
    }
    for (const auto& [part, ruleset] : wanted_) {
      const std::vector<Rule>& rules = rules_of(*ruleset, name);
      if (plan.make != Make::kStay && !rules.empty()) find(part, Cause::kChainMissing, name);
      plan_rules(name, part, rules, plan.make == Make::kStay ? seen : nullptr);
    }
    if (plan.make == Make::kStay) {
      remove_strangers(name, *seen);
    } else {
      plan_.chains.push_back(std::move(plan));
    }
  }

  void delete_chain(const std::string& name, const ObservedChain& seen) {
    bool told = false;
    for (const ObservedRule& rule : seen.rules) {
      if (!rule.part) continue;
      find(*rule.part, Cause::kChainLeftOver, name);
      told = true;
    }
    if (!told) find_somewhere(Cause::kChainLeftOver, name);
    plan_.chains.push_back({name, Make::kDelete, {}});
  }

  /// The part's rules among those in the chain. Their order among other parts' rules is of no
  /// matter: no packet is of both families, and no chain has rules of both tables.
  void plan_rules(const std::string& name, TableId part, const std::vector<Rule>& rules,
                  const ObservedChain* seen) {
    std::vector<ObservedRule> own;
    if (seen != nullptr) {
      std::ranges::copy_if(seen->rules, std::back_inserter(own),
                           [&](const ObservedRule& rule) { return rule.part == part; });
    }
    if (remade_.contains(part)) {  // a rule holds the set that has to be made anew
      for (ObservedRule& rule : own) rule.rule.reset();
    }
    RuleEdits edits{name, diff_chain<Rule, ObservedRule>(rules, own)};
    if (edits.steps.empty()) return;
    if (seen != nullptr) find_causes(part, name, edits, own);
    plan_.rules.push_back(std::move(edits));
  }

  void find_causes(TableId part, const std::string& name, const RuleEdits& edits,
                   const std::vector<ObservedRule>& own) {
    std::set<Cause> causes;
    for (const auto& step : edits.steps) {
      if (const auto* insert = std::get_if<InsertOf<Rule>>(&step)) {
        const bool moved = std::ranges::any_of(
            own, [&](const ObservedRule& rule) { return rule.rule == insert->rule; });
        causes.insert(moved ? Cause::kRuleOrder : Cause::kRuleMissing);
      } else if (const auto* remove = std::get_if<Remove>(&step)) {
        const auto rule = std::ranges::find(own, remove->ref, &ObservedRule::ref);
        if (!rule->rule) causes.insert(Cause::kRuleForeign);
      }
    }
    if (causes.empty()) causes.insert(Cause::kRuleForeign);  // one of ours stands twice
    for (const Cause cause : causes) find(part, cause, name);
  }

  void remove_strangers(const std::string& name, const ObservedChain& seen) {
    RuleEdits edits{name, {}};
    for (const ObservedRule& rule : seen.rules) {
      if (!rule.part) edits.steps.emplace_back(Remove{rule.ref});
    }
    if (edits.steps.empty()) return;
    find_somewhere(Cause::kRuleForeign, name);
    plan_.rules.push_back(std::move(edits));
  }

  const Wanted& wanted_;
  const Observed& observed_;
  const std::map<std::string, ObservedChain> no_chains_;
  const std::map<std::string, ObservedSet> no_sets_;
  const std::map<std::string, ObservedChain>* seen_chains_ = &no_chains_;
  const std::map<std::string, ObservedSet>* seen_sets_ = &no_sets_;
  std::set<TableId> remade_;
  bool something_stays_ = false;
  Plan plan_;
};

}  // namespace

Plan make_plan(const Wanted& wanted, const Observed& observed) {
  return Planner(wanted, observed).make();
}

}  // namespace nmanager::nftables
