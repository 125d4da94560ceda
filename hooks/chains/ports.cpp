#include "hooks/chains/ports.h"

namespace nmanager::chains {

namespace {

struct Run {  // of consecutive ports
  Protocol protocol = Protocol::kTcp;
  PortRange range;
};

std::vector<Run> runs_of(std::span<const ServicePort> ports) {
  std::vector<Run> runs;
  for (const auto& [protocol, port] : ports) {
    if (!runs.empty() && runs.back().protocol == protocol && runs.back().range.last + 1 == port) {
      runs.back().range.last = port;
    } else {
      runs.push_back({protocol, {port, port}});
    }
  }
  return runs;
}

}  // namespace

std::vector<PortGroup> group_ports(std::span<const ServicePort> ports) {
  std::vector<PortGroup> groups;
  std::size_t free_slots = 0;
  for (const auto& [protocol, range] : runs_of(ports)) {
    if (groups.empty() || groups.back().protocol != protocol || port_slots(range) > free_slots) {
      groups.push_back({protocol, {}});
      free_slots = kPortSlots;
    }
    groups.back().ports.push_back(range);
    free_slots -= port_slots(range);
  }
  return groups;
}

}  // namespace nmanager::chains
