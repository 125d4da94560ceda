#include "hooks/nftables/udp_change.h"

#include <algorithm>
#include <iterator>

namespace nmanager::nftables {

namespace {

/// The traffic that the part's chains translate: from the source prefix of pods, and of the node.
struct Halves {
  bool pods = false;
  std::optional<Prefix> pod_cidr;
};

Halves halves_of(const Ruleset& ruleset) {
  Halves halves;
  for (const auto& [name, rules] : ruleset.chains) {
    for (const NativeRule& rule : rules) {
      if (!std::holds_alternative<Translate>(rule.verdict) || rule.source_is_local) continue;
      halves.pods = true;
      halves.pod_cidr = rule.source;
    }
  }
  return halves;
}

void add_element(const Element& element, const Halves& halves, UdpRules& rules) {
  if (element.protocol != Protocol::kUdp && element.protocol != Protocol::kAny) return;
  const bool any_port = element.protocol == Protocol::kAny;
  const PortRange ports = any_port ? PortRange{0, 65535} : PortRange{element.port, element.port};
  rules.insert({element.external, ports, std::nullopt, true, element.to});
  if (halves.pods) {
    rules.insert({element.external, ports, halves.pod_cidr, false, element.to});
  }
}

bool translates(std::string_view chain) {
  const auto base = base_of(chain);
  return (base && base->type == Table::kNat) || chain.starts_with("NMANAGER_EX_CLUS_");
}

/// Rules were missing or are new, so that no element had its present effect before.
bool way_changes(const Plan& plan) {
  if (plan.table != TableFate::kStays && plan.table != TableFate::kDeleted) return true;
  const auto changes = [](const Step& step) {
    if (const auto* rule = std::get_if<RuleObject>(&step.object)) return translates(rule->chain);
    const auto* chain = std::get_if<ChainObject>(&step.object);
    return chain != nullptr && step.verb == Verb::kAdd && translates(chain->name);
  };
  return std::ranges::any_of(plan.evictions, changes) || std::ranges::any_of(plan.steps, changes);
}

}  // namespace

UdpChange udp_change(const Goal& goal, const Comparison& compared, const Standing& standing,
                     const Plan& plan) {
  UdpChange change;
  const TableId part = goal.id;
  if (part.table != Table::kNat) return change;
  const Ruleset& wanted = *compared.wanted.at(part);
  // All rules are removed: their sources are not known any more, so any source is assumed.
  const Halves halves = wanted.chains.empty() ? Halves{true, std::nullopt} : halves_of(wanted);
  const auto add_all = [&](const Elements& elements, UdpSide& side) {
    for (const Element& element : elements) add_element(element, halves, side.rules);
  };
  for (const auto& [name, set] : compared.observed.sets) {
    const auto id = set_of(name);
    if (!id || part_of(*id) != part || id->kind != SetKind::kCluster) continue;
    if (wanted.sets.contains(*id) && plan.table != TableFate::kDeleted) continue;
    const auto stood = standing.find(*id);
    if (stood != standing.end()) change.before.set_all(*external_of(*stood->second));
    add_all(*set.elements, change.before);
  }
  const ExternalCluster* const cluster = external_of(*goal.spec);
  const bool all_new = cluster != nullptr && way_changes(plan);
  if (all_new) change.after.set_all(*cluster);
  for (const Step& step : plan.steps) {
    const auto* some = std::get_if<ElementsObject>(&step.object);
    if (some == nullptr || part_of(some->set) != part || some->set.kind != SetKind::kCluster) {
      continue;
    }
    if (step.verb != Verb::kAdd) {
      add_all(*some->elements, change.before);
    } else if (!all_new) {
      add_all(*some->elements, change.after);
    }
  }
  return change;
}

}  // namespace nmanager::nftables
