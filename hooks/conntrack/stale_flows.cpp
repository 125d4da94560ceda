#include "hooks/conntrack/stale_flows.h"

#include <algorithm>
#include <optional>

namespace nmanager::conntrack {

namespace {

bool applies(const UdpRule& rule, const UdpFlow& flow) {
  return rule.ports.first <= flow.port && flow.port <= rule.ports.last &&
         rule.source_is_local == flow.source_is_local &&
         (!rule.source || rule.source->contains(flow.source));
}

/// Where the side's rules send the flow; nullopt: none applies.
std::optional<Address> target(const UdpSide& side, const UdpFlow& flow) {
  const UdpRules rules = side.at(flow.destination);
  const auto rule =
      std::ranges::find_if(rules, [&](const UdpRule& one) { return applies(one, flow); });
  return rule == rules.end() ? std::nullopt : std::optional(rule->to);
}

}  // namespace

bool is_stale(const UdpChange& change, const UdpFlow& flow) {
  const auto before = target(change.before, flow);
  const auto after = target(change.after, flow);
  if (!after) return before && flow.translated;
  if (!flow.translated) return true;
  return before && *before != *after && flow.reply_source != *after;
}

}  // namespace nmanager::conntrack
