#include "hooks/chains/plan.h"

#include <algorithm>
#include <cstdint>
#include <unordered_set>

#include "hooks/values/edit_script.h"

namespace nmanager::chains {

namespace {

bool is_ours(const HookRule& rule) {
  return rule.kind == HookRule::Kind::kOwnJump || rule.kind == HookRule::Kind::kOwnJumpAltered ||
         rule.kind == HookRule::Kind::kStrayJump;
}

/// The observed position of our jump in one built-in chain.
struct JumpPlace {
  std::vector<std::size_t> ours;    // all our jumps, including altered ones
  std::optional<std::size_t> good;  // a plain one before every jump of kube-proxy
  std::optional<std::size_t> first_kube;
  std::size_t plain = 0;  // those to the hook's own chain
  std::size_t altered = 0;
  std::size_t stray = 0;  // those to other chains of ours

  explicit JumpPlace(const std::vector<HookRule>& rules) {
    for (std::size_t i = 0; i < rules.size(); ++i) {
      const auto kind = rules[i].kind;
      if (kind == HookRule::Kind::kKubeJump && !first_kube) first_kube = i;
      if (!is_ours(rules[i])) continue;
      ours.push_back(i);
      const bool is_plain_jump = kind == HookRule::Kind::kOwnJump;
      ++(is_plain_jump ? plain : kind == HookRule::Kind::kStrayJump ? stray : altered);
      if (is_plain_jump && !first_kube && !good) good = i;
    }
  }
};

std::vector<Cause> causes_of(const JumpPlace& place, bool wanted) {
  if (!wanted) return {Cause::kJumpLeftOver};
  std::vector<Cause> causes;
  if (place.plain + place.altered == 0) causes.push_back(Cause::kJumpMissing);
  if (place.plain > 0 && !place.good) causes.push_back(Cause::kJumpDisplaced);
  if (place.altered > 0) causes.push_back(Cause::kJumpAltered);
  if (place.stray > 0) causes.push_back(Cause::kJumpLeftOver);
  if (place.plain + place.altered > 1) causes.push_back(Cause::kJumpDuplicated);
  return causes;
}

/// Where a new jump goes: index into `rules` of the rule to stand before, rules.size() for the end.
std::size_t insertion_point(Table table, const std::vector<HookRule>& rules,
                            const JumpPlace& place) {
  const bool first_time = place.ours.empty();
  if (place.first_kube && (table == Table::kNat || !first_time)) return *place.first_kube;
  const auto top = std::ranges::find_if_not(rules, is_ours);
  return static_cast<std::size_t>(top - rules.begin());
}

HookEdit edit_hook(Table table, Hook hook, const std::vector<HookRule>& rules,
                   const JumpPlace& place, bool wanted) {
  HookEdit edit;
  edit.hook = hook;
  edit.jump_to = *hook_chain(table, hook);
  edit.insert = wanted && !place.good;
  for (const std::size_t index : place.ours) {
    if (wanted && index == place.good) continue;
    edit.remove.push_back(rules[index].ref);
    edit.remove_positions.push_back(index);
  }
  if (!edit.insert) return edit;
  const std::size_t point = insertion_point(table, rules, place);
  if (point < rules.size()) edit.before = rules[point].ref;
  const auto removed_before = std::ranges::count_if(
      edit.remove_positions, [&](std::size_t position) { return position < point; });
  edit.position = point - static_cast<std::size_t>(removed_before);
  return edit;
}

void plan_hooks(TablePlan& plan, const DesiredTable& desired, const ObservedTable& observed) {
  static const std::vector<HookRule> kNoRules;
  for (const Hook hook : hooks_of(plan.id.table)) {
    if (desired.left_hooks.contains(hook)) continue;
    const auto found = observed.hooks.find(hook);
    const auto& rules = found == observed.hooks.end() ? kNoRules : found->second;
    const bool wanted = std::ranges::find(desired.jumps, hook) != desired.jumps.end();
    const JumpPlace place(rules);
    HookEdit edit = edit_hook(plan.id.table, hook, rules, place, wanted);
    if (!edit.insert && edit.remove.empty()) continue;
    for (const Cause cause : causes_of(place, wanted)) {
      plan.findings.push_back({cause, std::string(to_string(hook))});
    }
    plan.hooks.push_back(std::move(edit));
  }
}

void add_chain_findings(TablePlan& plan, const ChainName& chain, const std::vector<Rule>& desired,
                        const ObservedChain& observed) {
  std::unordered_set<std::uint64_t> want;
  std::unordered_set<std::uint64_t> have;
  for (const Rule& rule : desired) want.insert(hash_of(rule));
  for (const ObservedRule& seen : observed) {
    if (seen.rule) have.insert(hash_of(*seen.rule));
  }
  const auto wanted = [&](const ObservedRule& seen) {
    return seen.rule && want.contains(hash_of(*seen.rule));
  };
  const auto present = [&](const Rule& rule) { return have.contains(hash_of(rule)); };
  const std::size_t before = plan.findings.size();
  if (!std::ranges::all_of(desired, present)) {
    plan.findings.push_back({Cause::kRuleMissing, chain.str()});
  }
  if (!std::ranges::all_of(observed, wanted)) {
    plan.findings.push_back({Cause::kRuleForeign, chain.str()});
  }
  if (plan.findings.size() == before) plan.findings.push_back({Cause::kRuleOrder, chain.str()});
}

void plan_chain(TablePlan& plan, const ChainName& name, const std::vector<Rule>& rules,
                const ObservedChain* observed) {
  if (observed == nullptr) {
    plan.findings.push_back({Cause::kChainMissing, name.str()});
    plan.edits.push_back({name, true, diff_chain<Rule, ObservedRule>(rules, {})});
    return;
  }
  auto steps = diff_chain<Rule, ObservedRule>(rules, *observed);
  if (steps.empty()) return;
  add_chain_findings(plan, name, rules, *observed);
  plan.edits.push_back({name, false, std::move(steps)});
}

void plan_chains(TablePlan& plan, const DesiredTable& desired, const ObservedTable& observed) {
  for (const auto& [name, rules] : desired.chains) {
    const auto found = observed.chains.find(name);
    plan_chain(plan, name, rules, found == observed.chains.end() ? nullptr : &found->second);
  }
}

/// As plan_chains(), without touching the chains that are as desired.
void plan_differences(TablePlan& plan, const DesiredTable& desired, const ObservedTable& observed) {
  for (const ChainName& name : observed.missing) {
    const auto wanted = desired.chains.find(name);
    if (wanted != desired.chains.end()) plan_chain(plan, name, wanted->second, nullptr);
  }
  for (const auto& [name, seen] : observed.chains) {
    const auto wanted = desired.chains.find(name);
    if (wanted != desired.chains.end()) plan_chain(plan, name, wanted->second, &seen);
  }
  std::ranges::sort(plan.edits, {}, &ChainEdit::chain);
}

/// Chains that are to be removed by a later plan: then none refers to another.
void plan_emptying(TablePlan& plan, const DesiredTable& desired, const ObservedTable& observed) {
  for (const auto& [name, seen] : observed.chains) {
    if (desired.chains.contains(name) || seen.empty()) continue;
    plan.findings.push_back({Cause::kChainLeftOver, name.str()});
    plan.edits.push_back({name, false, diff_chain<Rule, ObservedRule>({}, seen)});
  }
}

/// An empty chain to which foreign rules refer does not justify a separate commit.
void plan_removals(TablePlan& plan, const DesiredTable& desired, const ObservedTable& observed,
                   const std::set<ChainName>& leave) {
  std::vector<ChainName> held;
  for (const auto& [name, rules] : observed.chains) {
    if (desired.chains.contains(name) || desired.left_chains.contains(name)) continue;
    if (leave.contains(name) && rules.empty()) {
      held.push_back(name);
      continue;
    }
    plan.remove_chains.push_back(name);
    plan.findings.push_back({Cause::kChainLeftOver, name.str()});
  }
  if (plan.empty()) return;
  plan.remove_chains.insert(plan.remove_chains.end(), held.begin(), held.end());
}

void sort_findings(TablePlan& plan) {
  std::ranges::sort(plan.findings);
  plan.findings.erase(std::unique(plan.findings.begin(), plan.findings.end()), plan.findings.end());
}

}  // namespace

TablePlan make_plan(TableId id, const DesiredTable& desired, const ObservedTable& observed,
                    const std::set<ChainName>& leave) {
  TablePlan plan;
  plan.id = id;
  plan_hooks(plan, desired, observed);
  if (observed.only_differences) {
    plan_differences(plan, desired, observed);
  } else {
    plan_chains(plan, desired, observed);
  }
  plan_removals(plan, desired, observed, leave);
  sort_findings(plan);
  return plan;
}

TablePlan plan_part(TableId id, const DesiredTable& desired, const ObservedTable& observed) {
  TablePlan plan;
  plan.id = id;
  if (!observed.hooks_wait) plan_hooks(plan, desired, observed);
  plan_emptying(plan, desired, observed);
  plan_differences(plan, desired, observed);
  sort_findings(plan);
  return plan;
}

}  // namespace nmanager::chains
