#include "plugin/reconciler/flows.h"

#include <algorithm>
#include <string>
#include <utility>

namespace nmanager::reconciler {

namespace {

FlowsToForget& of(State& state, Family family) {
  return *std::ranges::find(state.flows, family, &FlowsToForget::family);
}

/// The latest change of an address is what counts.
void follow(UdpRules& rules, const UdpChange& change) {
  UdpRules followed;
  for (const UdpRule& rule : rules) {
    // What is listed is looked for once its flows are deleted.
    if (change.before.lists(rule.external) || change.after.lists(rule.external)) continue;
    if (!change.after.all && !change.before.all) {
      followed.insert(rule);
    } else {
      followed.merge(change.after.at(rule.external));
    }
  }
  rules = std::move(followed);
}

}  // namespace

void forget_flows(State& state, Family family, const UdpChange& change,
                  std::vector<Action>& actions) {
  if (change.empty()) return;
  follow(of(state, family).rules, change);
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
    flows.rules.merge(forgotten.change.after.at(external));
  }
  flows.pause = kFlowsAgain;
  flows.at = now.mono + flows.pause;
}

void forget_flows_again(State& state, TimePoint now, std::vector<Action>& actions) {
  for (FlowsToForget& flows : state.flows) {
    if (!flows.at || now < *flows.at) continue;
    if (!flows.rules.empty()) {
      actions.emplace_back(ForgetUdpFlows{flows.family, {{}, {flows.rules}}, true});
    }
    flows.pause *= 2;
    flows.at = now + flows.pause;
    if (flows.rules.empty() || flows.pause > kFlowsLast) flows = FlowsToForget{flows.family};
  }
}

}  // namespace nmanager::reconciler
