#include "hooks/xt/extensions.h"

namespace nmanager::xt {

bool uses_multiport(const Rule& rule) {
  return rule.destination_ports.size() > 1 ||
         (rule.destination_ports.size() == 1 && rule.protocol == Protocol::kSctp);
}

std::vector<Extension> extensions_of(const Rule& rule) {
  std::vector<Extension> result;
  if (rule.source_is_local) result.push_back(kAddrtype);
  if (rule.state_invalid) result.push_back(kConntrack);
  if (uses_multiport(rule)) {
    result.push_back(kMultiport);
  } else if (!rule.destination_ports.empty()) {
    result.push_back(rule.protocol == Protocol::kTcp ? kTcp : kUdp);
  }
  if (rule.tcp_flags.mask != 0) result.push_back(kTcp);
  if (!rule.comment.empty()) result.push_back(kComment);
  if (std::holds_alternative<Dnat>(rule.target)) result.push_back(kDnat);
  if (std::holds_alternative<SetMark>(rule.target)) result.push_back(kMark);
  return result;
}

}  // namespace nmanager::xt
