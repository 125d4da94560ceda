// What a plan changes for UDP flows. Pure.
#pragma once

#include "hooks/intent/backend.h"
#include "hooks/intent/udp_change.h"
#include "hooks/nftables/comparison.h"
#include "hooks/nftables/plan.h"

namespace nmanager::nftables {

/// The changes of `plan`, made from `compared`, for flows to external addresses of the goal.
/// `standing`: what compared.observed has no elements of.
[[nodiscard]] UdpChange udp_change(const Goal& goal, const Comparison& compared,
                                   const Standing& standing, const Plan& plan);

}  // namespace nmanager::nftables
