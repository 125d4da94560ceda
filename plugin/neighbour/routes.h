// Reading this node's routes through rtnetlink.
#pragma once

#include <cstddef>
#include <vector>

#include "plugin/neighbour/kernel_evidence.h"

namespace nmanager::neighbour {

/// Adds the pods' routes of `family` (main table, no gateway, is_pod_device()) to `routes`, up to
/// `most` in all. False: the kernel could not be asked, or there are more than fit, or the table is
/// too large to be read for this. A kernel without the family has none.
[[nodiscard]] bool add_pod_routes(Family family, std::size_t most, std::vector<PodRoute>& routes);

}  // namespace nmanager::neighbour
