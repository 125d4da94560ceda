#include "hooks/netlink/generation.h"

#include <algorithm>
#include <cstdint>

namespace nmanager::netlink {

Generation next_generation(Generation generation) {
  ++generation;
  return generation == 0 ? 1 : generation;
}

std::int32_t generations_between(Generation from, Generation to) {
  return static_cast<std::int32_t>(to - from);
}

void OwnGenerations::add(Generation generation) {
  ids_.push_back(generation);
  if (ids_.size() > kRemembered) ids_.pop_front();
}

bool OwnGenerations::contains(Generation generation) const {
  return std::find(ids_.rbegin(), ids_.rend(), generation) != ids_.rend();
}

bool OwnGenerations::all_own(Generation from, Generation to) const {
  if (generations_between(from, to) > static_cast<std::int32_t>(kRemembered)) return false;
  while (generations_between(from, to) > 0) {
    from = next_generation(from);
    if (!contains(from)) return false;
  }
  return true;
}

}  // namespace nmanager::netlink
