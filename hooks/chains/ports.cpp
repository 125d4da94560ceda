#include "hooks/chains/ports.h"

#include <cstdint>

namespace nmanager::chains {

namespace {

std::vector<PortRange> runs_of(std::span<const std::uint16_t> ports) {
  std::vector<PortRange> runs;
  for (const std::uint16_t port : ports) {
    if (!runs.empty() && runs.back().last + 1 == port) {
      runs.back().last = port;
    } else {
      runs.push_back({port, port});
    }
  }
  return runs;
}

}  // namespace

std::vector<PortSet> group_ports(std::span<const std::uint16_t> ports) {
  std::vector<PortSet> sets;
  std::size_t free_slots = 0;
  for (const PortRange& run : runs_of(ports)) {
    if (port_slots(run) > free_slots) {
      sets.emplace_back();
      free_slots = kPortSlots;
    }
    sets.back().push_back(run);
    free_slots -= port_slots(run);
  }
  return sets;
}

}  // namespace nmanager::chains
