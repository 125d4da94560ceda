#include "hooks/conntrack/stale_flows.h"

namespace nmanager::conntrack {

namespace {

bool applies(const UdpRule& rule, const UdpFlow& flow) {
  return rule.external == flow.destination && rule.ports.first <= flow.port &&
         flow.port <= rule.ports.last && rule.source_is_local == flow.source_is_local &&
         (!rule.source || rule.source->contains(flow.source));
}

const UdpRule* rule_for(const UdpRules& rules, const UdpFlow& flow) {
  UdpRule least;
  least.external = flow.destination;
  for (auto rule = rules.lower_bound(least);
       rule != rules.end() && rule->external == flow.destination; ++rule) {
    if (applies(*rule, flow)) return &*rule;
  }
  return nullptr;
}

}  // namespace

bool is_stale(const UdpChange& change, const UdpFlow& flow) {
  const UdpRule* const before = rule_for(change.before, flow);
  const UdpRule* const after = rule_for(change.after, flow);
  if (after == nullptr) return before != nullptr && flow.translated;
  if (!flow.translated) return true;
  return before != nullptr && before->to != after->to && flow.reply_source != after->to;
}

}  // namespace nmanager::conntrack
