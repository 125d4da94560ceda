// The generation id of a network namespace's nf_tables: one up with each transaction of anybody.
#pragma once

#include <cstdint>
#include <deque>

namespace nmanager::netlink {

using Generation = std::uint32_t;

/// The kernel leaves out 0 when it wraps (nf_tables_api.c, nf_tables_commit).
[[nodiscard]] Generation next_generation(Generation generation);

/// How many transactions lie between two ids: serial number arithmetic, negative when `to` is the
/// older one. Exact but for one at the wrap.
[[nodiscard]] std::int32_t generations_between(Generation from, Generation to);

/// The ids that our own commits made, as long as they may still come back as events. Pure.
class OwnGenerations {
 public:
  void add(Generation generation);
  [[nodiscard]] bool contains(Generation generation) const;
  /// True when every id in (from, to] is our own.
  [[nodiscard]] bool all_own(Generation from, Generation to) const;

 private:
  static constexpr std::size_t kRemembered = 256;
  std::deque<Generation> ids_;  // in the order they were made
};

}  // namespace nmanager::netlink
