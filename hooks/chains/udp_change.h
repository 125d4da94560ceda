// The changes of a plan for UDP flows. Pure.
#pragma once

#include <functional>
#include <span>

#include "hooks/chains/desired.h"
#include "hooks/chains/observed.h"
#include "hooks/chains/plan.h"
#include "hooks/intent/udp_change.h"

namespace nmanager::chains {

/// What `rules` do to UDP.
void add_udp_rules(std::span<const Rule> rules, UdpRules& result);

/// The change that `plan`, made from `desired` and `observed`, brings. While a jump on the way to
/// the rules was missing none of them was obeyed: then `after` holds `all` that is desired, and
/// `before` what stood in vain. `desired` has at least the chains that are edited. `ends_parts`:
/// the plan is the last of several, see udp_change_of_part().
[[nodiscard]] UdpChange udp_change(const DesiredTable& desired, const ObservedTable& observed,
                                   const TablePlan& plan, bool ends_parts,
                                   const std::function<UdpSide()>& all);

/// What a part takes away; what it brings is told with the last one.
[[nodiscard]] UdpChange udp_change_of_part(const DesiredTable& desired,
                                           const ObservedTable& observed, const TablePlan& plan);

}  // namespace nmanager::chains
