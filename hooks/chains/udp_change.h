// What a plan changes for flows of UDP. Pure.
#pragma once

#include "hooks/chains/desired.h"
#include "hooks/chains/observed.h"
#include "hooks/chains/plan.h"
#include "hooks/intent/udp_change.h"

namespace nmanager::chains {

/// The change that `plan`, made from the other two, brings. While a jump on the way to the rules
/// was missing none of them was obeyed: then `after` holds all, and `before` what stood in vain.
[[nodiscard]] UdpChange udp_change(const DesiredTable& desired, const ObservedTable& observed,
                                   const TablePlan& plan);

}  // namespace nmanager::chains
