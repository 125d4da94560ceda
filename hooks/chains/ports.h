// Ports grouped so that few rules cover many of them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "hooks/values/rule.h"

namespace nmanager::chains {

/// `ports` sorted and unique. Runs of consecutive ports become ranges; the ranges are packed into
/// as few sets as kPortSlots allows, in order. 20 scattered ports are two sets, 20 in a row are
/// one.
[[nodiscard]] std::vector<PortSet> group_ports(std::span<const std::uint16_t> ports);

}  // namespace nmanager::chains
