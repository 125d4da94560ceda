// Ports grouped so that few rules cover many of them.
#pragma once

#include <span>
#include <vector>

#include "hooks/values/service_port.h"

namespace nmanager::chains {

/// What one rule can match.
struct PortGroup {
  Protocol protocol = Protocol::kTcp;
  PortSet ports;
};

/// `ports` sorted and unique. Runs of consecutive ports of a protocol become ranges; the ranges are
/// packed into as few groups as kPortSlots allows, in order. 20 scattered ports are two groups, 20
/// in a row are one.
[[nodiscard]] std::vector<PortGroup> group_ports(std::span<const ServicePort> ports);

}  // namespace nmanager::chains
