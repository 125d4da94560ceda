#include "hooks/chains/udp_change.h"

#include <algorithm>
#include <iterator>
#include <variant>

namespace nmanager::chains {

namespace {

void add_rule(const Rule& rule, UdpRules& rules) {
  const auto* dnat = std::get_if<Dnat>(&rule.target);
  const bool udp = rule.protocol == Protocol::kUdp || rule.protocol == Protocol::kAny;
  if (dnat == nullptr || !udp || !rule.destination) return;
  UdpRule one{rule.destination->address(), {0, 65535}, rule.source, rule.source_is_local, dnat->to};
  if (rule.destination_ports.empty()) rules.insert(one);
  for (const PortRange& ports : rule.destination_ports) {
    one.ports = ports;
    rules.insert(one);
  }
}

void add_chain(const DesiredTable& desired, const ChainName& chain, UdpRules& rules) {
  const auto found = desired.chains.find(chain);
  if (found == desired.chains.end()) return;
  add_udp_rules(found->second, rules);
}

void add_chain(const ObservedTable& observed, const ChainName& chain, UdpRules& rules) {
  const auto found = observed.chains.find(chain);
  if (found == observed.chains.end()) return;
  for (const ObservedRule& seen : found->second) {
    if (seen.rule) add_rule(*seen.rule, rules);
  }
}

/// A chain that only jumps to others.
bool is_way(const DesiredTable& desired, const ChainName& chain) {
  const auto found = desired.chains.find(chain);
  return found != desired.chains.end() && std::ranges::none_of(found->second, [](const Rule& rule) {
           return std::holds_alternative<Dnat>(rule.target);
         });
}

void add_edits(const DesiredTable& desired, const ObservedTable& observed, const TablePlan& plan,
               UdpChange& change) {
  for (const ChainEdit& edit : plan.edits) {
    add_chain(observed, edit.chain, change.before.rules);
    add_chain(desired, edit.chain, change.after.rules);
  }
}

/// Removes common elements from both.
void erase_common(UdpRules& a, UdpRules& b) {
  UdpRules common;
  std::ranges::set_intersection(a, b, std::inserter(common, common.end()));
  for (const UdpRule& rule : common) {
    a.erase(rule);
    b.erase(rule);
  }
}

}  // namespace

void add_udp_rules(std::span<const Rule> rules, UdpRules& result) {
  for (const Rule& rule : rules) add_rule(rule, result);
}

UdpChange udp_change(const DesiredTable& desired, const ObservedTable& observed,
                     const TablePlan& plan, bool ends_parts, const std::function<UdpSide()>& all) {
  UdpChange change;
  add_edits(desired, observed, plan, change);
  for (const ChainName& chain : plan.remove_chains) add_chain(observed, chain, change.before.rules);
  const bool way_was_broken =
      ends_parts || !plan.hooks.empty() || std::ranges::any_of(plan.edits, [&](const auto& edit) {
        return is_way(desired, edit.chain);
      });
  if (way_was_broken) {
    change.after = all();
    return change;
  }
  erase_common(change.before.rules, change.after.rules);
  if (change.before.empty()) return change;
  // What goes here may stand in another chain.
  const UdpSide stands = all();
  for (const UdpRule& rule : change.before.rules)
    change.after.rules.merge(stands.at(rule.external));
  return change;
}

UdpChange udp_change_of_part(const DesiredTable& desired, const ObservedTable& observed,
                             const TablePlan& plan) {
  UdpChange change;
  add_edits(desired, observed, plan, change);
  erase_common(change.before.rules, change.after.rules);
  change.after = {};
  return change;
}

}  // namespace nmanager::chains
