#include "plugin/reconciler/flows.h"

#include <algorithm>
#include <string>

namespace nmanager::reconciler {

namespace {

FlowsToForget& of(State& state, Family family) {
  return *std::ranges::find(state.flows, family, &FlowsToForget::family);
}

auto rules_of(const UdpRules& rules, const Address& external) {
  UdpRule least;
  least.external = external;
  const auto first = rules.lower_bound(least);
  auto last = first;
  while (last != rules.end() && last->external == external) ++last;
  return std::ranges::subrange(first, last);
}

void drop_rules(UdpRules& rules, const UdpRules& changed) {
  for (const UdpRule& rule : changed) {
    const auto dropped = rules_of(rules, rule.external);
    rules.erase(dropped.begin(), dropped.end());
  }
}

}  // namespace

void forget_flows(State& state, Family family, const UdpChange& change,
                  std::vector<Action>& actions) {
  if (change.empty()) return;
  UdpRules& rules = of(state, family).rules;  // the latest change of an address is what counts
  drop_rules(rules, change.before);
  drop_rules(rules, change.after);
  actions.emplace_back(ForgetUdpFlows{family, change});
}

void take_forgotten(State& state, const FlowsForgotten& forgotten, Now now,
                    std::vector<Action>& actions) {
  const std::string family(to_string(forgotten.family));
  if (!forgotten.deleted) {
    actions.emplace_back(
        LogLine{LogLine::Level::kWarning,
                family +
                    ": UDP flows that began before a change of their rules keep their old "
                    "translation: " +
                    forgotten.deleted.error().message});
    return;
  }
  if (forgotten.deleted->empty()) return;
  actions.emplace_back(LogLine{
      LogLine::Level::kInfo, family + ": " + std::to_string(forgotten.deleted->size()) +
                                 " UDP flows were forgotten, so that changed rules apply to them"});
  if (forgotten.again) return;
  FlowsToForget& flows = of(state, forgotten.family);
  for (const Address& external : *forgotten.deleted) {
    const auto rules = rules_of(forgotten.change.after, external);
    flows.rules.insert(rules.begin(), rules.end());
  }
  flows.pause = kFlowsAgain;
  flows.at = now.mono + flows.pause;
}

void forget_flows_again(State& state, TimePoint now, std::vector<Action>& actions) {
  for (FlowsToForget& flows : state.flows) {
    if (!flows.at || now < *flows.at) continue;
    if (!flows.rules.empty()) {
      actions.emplace_back(ForgetUdpFlows{flows.family, {{}, flows.rules}, true});
    }
    flows.pause *= 2;
    flows.at = now + flows.pause;
    if (flows.rules.empty() || flows.pause > kFlowsLast) flows = FlowsToForget{flows.family};
  }
}

}  // namespace nmanager::reconciler
