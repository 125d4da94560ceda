// The changes of a plan for UDP flows. Pure.
#pragma once

#include "hooks/chains/desired.h"
#include "hooks/chains/observed.h"
#include "hooks/chains/plan.h"
#include "hooks/intent/udp_change.h"

namespace nmanager::chains {

/// The changes of `plan`, made from the other two. If a jump on the path to the rules was missing,
/// none of them had an effect: then `after` has all rules, and `before` those without effect.
[[nodiscard]] UdpChange udp_change(const DesiredTable& desired, const ObservedTable& observed,
                                   const TablePlan& plan);

}  // namespace nmanager::chains
