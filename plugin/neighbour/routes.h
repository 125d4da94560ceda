// Reads this node's routes through rtnetlink.
#pragma once

#include <cstddef>
#include <vector>

#include "plugin/neighbour/kernel_evidence.h"

namespace nmanager::neighbour {

/// Adds the pod routes of `family` (main table, no gateway, is_pod_device()) to `routes`, up to
/// `most` in total. False: the request failed, there are more than `most`, or the table is too
/// large. A kernel without the family has no routes.
[[nodiscard]] bool add_pod_routes(Family family, std::size_t most, std::vector<PodRoute>& routes);

}  // namespace nmanager::neighbour
