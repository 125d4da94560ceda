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
    if (!starts_over) {
      seen_chains_ = &observed_.chains;
      seen_sets_ = &observed_.sets;
    }
    plan_table(starts_over);
    plan_sets();
    plan_chains();
    if (!starts_over) evict_others();
    if (something_stays_) {
      put_in_order();
    } else {
      plan_deletion();
    }
    for (auto& [part, findings] : plan_.findings) {
      std::ranges::sort(findings);
      findings.erase(std::unique(findings.begin(), findings.end()), findings.end());
    }
    return std::move(plan_);
  }

 private:
  using Edits = std::vector<EditStepOf<NativeRule>>;

  void find(TableId part, Cause cause, std::string_view where) {
    plan_.findings[part].push_back({cause, std::string(where)});
  }
  void find_everywhere(Cause cause, std::string_view where) {
    for (const auto& entry : wanted_) find(entry.first, cause, where);
  }
  /// For an object that belongs to no part: reported once.
  void find_somewhere(Cause cause, std::string_view where) {
    if (!wanted_.empty()) find(wanted_.begin()->first, cause, where);
  }

  /// Ordered so that no step refers to a deleted object or to one that does not exist yet.
  void put_in_order() {
    for (auto* steps : {&evicted_rules_, &evicted_flushes_, &evicted_sets_, &evicted_rest_}) {
      std::ranges::move(*steps, std::back_inserter(plan_.evictions));
    }
    for (auto* steps : {&table_, &less_rules_, &flushes_, &less_, &sets_, &chains_, &rules_}) {
      std::ranges::move(*steps, std::back_inserter(plan_.steps));
    }
  }

  void plan_table(bool starts_over) {
    if (starts_over) {
      plan_.table = observed_.exists ? TableFate::kReplaced : TableFate::kMade;
      if (observed_.exists) table_.push_back({Verb::kDelete, OwnTable{}});
      table_.push_back({Verb::kAdd, OwnTable{}});
    } else if (observed_.dormant) {
      plan_.table = TableFate::kWoken;
      table_.push_back({Verb::kAdd, OwnTable{true}});
    }
    if (observed_.exists && plan_.table != TableFate::kStays) {
      find_everywhere(Cause::kTableAltered, kTableName);
    }
  }

  void plan_deletion() {
    plan_.table = TableFate::kStays;
    if (!observed_.exists) return;
    plan_.table = TableFate::kDeleted;
    plan_.steps.push_back({Verb::kDelete, OwnTable{}});
    if (plan_.findings.empty()) find_somewhere(Cause::kChainLeftOver, kTableName);  // an empty one
  }

  /// Rules of foreign chains and maps are removed first: they may jump to any chain.
  void evict_chain(const std::string& name, const ObservedChain& seen) {
    if (!seen.rules.empty()) evicted_flushes_.push_back({Verb::kFlush, ChainObject{name}});
    evicted_rest_.push_back({Verb::kDelete, ChainObject{name}});
  }

  void evict_set(const std::string& name, const ObservedSet& seen) {
    find_somewhere(Cause::kSetLeftOver, name);
    // Linux before 6.4 releases the chains of a map's elements only when these are flushed.
    if (seen.is_map) evicted_sets_.push_back({Verb::kFlush, SetObject{name, true}});
    evicted_sets_.push_back({Verb::kDelete, SetObject{name, seen.is_map}});
  }

  void evict_others() {
    for (const OtherObject& other : observed_.others) {
      find_somewhere(Cause::kSetLeftOver, other.name);
      evicted_rest_.push_back({Verb::kDelete, other});
    }
  }

  void plan_sets() {
    for (const auto& [part, ruleset] : wanted_) {
      for (const auto& [id, elements] : ruleset->sets) plan_set(part, id, elements);
    }
    for (const auto& [name, seen] : *seen_sets_) {
      const auto id = set_of(name);
      if (!id) {
        evict_set(name, seen);
        continue;
      }
      const auto part = wanted_.find(part_of(*id));
      if (part == wanted_.end()) {
        something_stays_ = true;  // of a part that is not changed
      } else if (!part->second->sets.contains(*id)) {
        find(part->first, Cause::kSetLeftOver, name);
        less_.push_back({Verb::kDelete, SetObject{name, seen.is_map}});
      }
    }
  }

  void plan_set(TableId part, const SetId& id, const SharedElements& elements) {
    something_stays_ = true;
    const SetObject set{name_of(id), id.kind == SetKind::kCluster};
    const auto found = seen_sets_->find(set.name);
    if (found == seen_sets_->end()) {
      find(part, Cause::kSetMissing, set.name);
    } else if (!found->second.as_made) {
      remade_.insert(part);
      find(part, Cause::kSetAltered, set.name);
      less_.push_back({Verb::kDelete, SetObject{set.name, found->second.is_map}});
    } else if (found->second.strange) {
      find(part, Cause::kElementForeign, set.name);
      less_.push_back({Verb::kFlush, set});
      add_elements(Verb::kAdd, id, elements);
      return;
    } else {
      plan_elements(part, id, elements, found->second.elements);
      return;
    }
    sets_.push_back({Verb::kAdd, set});
    add_elements(Verb::kAdd, id, elements);
  }

  void plan_elements(TableId part, const SetId& id, const SharedElements& wanted,
                     const SharedElements& stand) {
    if (wanted == stand) return;
    Elements more;
    Elements less;
    std::ranges::set_difference(*wanted, *stand, std::back_inserter(more));
    std::ranges::set_difference(*stand, *wanted, std::back_inserter(less));
    if (!more.empty()) find(part, Cause::kElementMissing, name_of(id));
    if (!less.empty()) find(part, Cause::kElementForeign, name_of(id));
    add_elements(Verb::kDelete, id, std::make_shared<const Elements>(std::move(less)));
    add_elements(Verb::kAdd, id, std::make_shared<const Elements>(std::move(more)));
  }

  void add_elements(Verb verb, const SetId& id, SharedElements elements) {
    if (!elements->empty()) sets_.push_back({verb, ElementsObject{id, std::move(elements)}});
  }

  void plan_chains() {
    std::set<std::string> names;
    for (const auto& entry : wanted_) {
      for (const auto& chain : entry.second->chains) names.insert(chain.first.str());
    }
    for (const auto& entry : *seen_chains_) names.insert(entry.first);
    for (const std::string& name : names) plan_chain(name);
  }

  [[nodiscard]] bool left_alone(const std::string& chain, const ObservedRule& seen) const {
    if (!seen.part) return false;
    const auto part = wanted_.find(*seen.part);
    return part == wanted_.end() || leaves(*part->second, chain);
  }
  [[nodiscard]] static bool leaves(const Ruleset& part, const std::string& chain) {
    return is_own_chain(chain) && part.left_chains.contains(ChainName(chain));
  }
  [[nodiscard]] const std::vector<NativeRule>& rules_of(const Ruleset& part,
                                                        const std::string& chain) const {
    static const std::vector<NativeRule> kNone;
    for (const auto& [name, rules] : part.chains) {
      if (name.view() == chain) return rules;
    }
    return kNone;
  }

  void plan_chain(const std::string& name) {
    const auto found = seen_chains_->find(name);
    const ObservedChain* seen = found == seen_chains_->end() ? nullptr : &found->second;
    const bool wanted = std::ranges::any_of(
        wanted_, [&](const auto& part) { return !rules_of(*part.second, name).empty(); });
    if (!wanted && (seen == nullptr || !std::ranges::any_of(seen->rules, [&](const auto& rule) {
                      return left_alone(name, rule);
                    }))) {
      if (seen != nullptr) delete_chain(name, *seen);
      return;
    }
    something_stays_ = true;
    const auto base = base_of(name);
    const bool replace = seen != nullptr && wanted && (seen->base != base || seen->drops);
    const bool make = seen == nullptr || replace;
    if (replace) remove_chain(name);
    if (make) chains_.push_back({Verb::kAdd, ChainObject{name, base}});
    for (const auto& [part, ruleset] : wanted_) {
      if (leaves(*ruleset, name)) continue;
      const std::vector<NativeRule>& rules = rules_of(*ruleset, name);
      if (make && !rules.empty()) find(part, Cause::kChainMissing, name);
      plan_rules(name, part, rules, make ? nullptr : seen);
    }
    if (!make) evict_rules(name, *seen);
  }

  void remove_chain(const std::string& name) {
    flushes_.push_back({Verb::kFlush, ChainObject{name}});
    less_.push_back({Verb::kDelete, ChainObject{name}});
  }

  void delete_chain(const std::string& name, const ObservedChain& seen) {
    bool told = false;
    for (const ObservedRule& rule : seen.rules) {
      if (!rule.part) continue;
      find(*rule.part, Cause::kChainLeftOver, name);
      told = true;
    }
    if (!told) find_somewhere(Cause::kChainLeftOver, name);
    if (is_own_chain(name)) {
      remove_chain(name);
    } else {
      evict_chain(name, seen);
    }
  }

  /// The part's rules among those in the chain. Their order relative to other parts' rules does
  /// not matter: no packet is of both families, and no chain has rules of both tables.
  void plan_rules(const std::string& name, TableId part, const std::vector<NativeRule>& rules,
                  const ObservedChain* seen) {
    std::vector<ObservedRule> own;
    if (seen != nullptr) {
      std::ranges::copy_if(seen->rules, std::back_inserter(own),
                           [&](const ObservedRule& rule) { return rule.part == part; });
    }
    if (remade_.contains(part)) {  // a rule refers to the set that has to be created again
      for (ObservedRule& rule : own) rule.rule.reset();
    }
    const Edits edits = diff_chain<NativeRule, ObservedRule>(rules, own);
    if (edits.empty()) return;
    if (seen != nullptr) find_causes(part, name, edits, own);
    const auto places = places_of(edits);
    for (std::size_t i = 0; i < edits.size(); ++i) {
      if (const auto* insert = std::get_if<InsertOf<NativeRule>>(&edits[i])) {
        rules_.push_back({Verb::kAdd, RuleObject{name, places[i], insert->rule}});
      } else if (const auto* remove = std::get_if<Remove>(&edits[i])) {
        less_rules_.push_back({Verb::kDelete, RuleObject{name, remove->ref}});
      }
    }
  }

  void find_causes(TableId part, const std::string& name, const Edits& edits,
                   const std::vector<ObservedRule>& own) {
    std::set<Cause> causes;
    for (const auto& step : edits) {
      if (const auto* insert = std::get_if<InsertOf<NativeRule>>(&step)) {
        const bool moved = std::ranges::any_of(
            own, [&](const ObservedRule& rule) { return rule.rule == insert->rule; });
        causes.insert(moved ? Cause::kRuleOrder : Cause::kRuleMissing);
      } else if (const auto* remove = std::get_if<Remove>(&step)) {
        const auto rule = std::ranges::find(own, remove->ref, &ObservedRule::ref);
        if (!rule->rule) causes.insert(Cause::kRuleForeign);
      }
    }
    if (causes.empty()) causes.insert(Cause::kRuleForeign);  // one of our rules exists twice
    for (const Cause cause : causes) find(part, cause, name);
  }

  void evict_rules(const std::string& name, const ObservedChain& seen) {
    for (const ObservedRule& rule : seen.rules) {
      if (rule.part) continue;
      find_somewhere(Cause::kRuleForeign, name);
      evicted_rules_.push_back({Verb::kDelete, RuleObject{name, rule.ref}});
    }
  }

  const Wanted& wanted_;
  const Observed& observed_;
  const std::map<std::string, ObservedChain> no_chains_;
  const std::map<std::string, ObservedSet> no_sets_;
  const std::map<std::string, ObservedChain>* seen_chains_ = &no_chains_;
  const std::map<std::string, ObservedSet>* seen_sets_ = &no_sets_;
  std::set<TableId> remade_;
  bool something_stays_ = false;
  std::vector<Step> evicted_rules_, evicted_flushes_, evicted_sets_, evicted_rest_;
  // The last three add objects, after the others have removed conflicting ones.
  std::vector<Step> table_, less_rules_, flushes_, less_, sets_, chains_, rules_;
  Plan plan_;
};

}  // namespace

Plan make_plan(const Wanted& wanted, const Observed& observed) {
  return Planner(wanted, observed).make();
}

}  // namespace nmanager::nftables
