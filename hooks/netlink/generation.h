// The generation id of a network namespace's nf_tables: each transaction of any process adds 1.
#pragma once

#include <cstdint>
#include <deque>

namespace nmanager::netlink {

using Generation = std::uint32_t;

/// The kernel leaves out 0 when it wraps (nf_tables_api.c, nf_tables_commit).
[[nodiscard]] Generation next_generation(Generation generation);

/// The number of transactions between two ids: serial number arithmetic, negative when `to` is
/// older. Off by one across the wrap.
[[nodiscard]] std::int32_t generations_between(Generation from, Generation to);

/// The ids of our own latest commits, whose events may still arrive. Pure.
class OwnGenerations {
 public:
  void add(Generation generation);
  [[nodiscard]] bool contains(Generation generation) const;
  /// True when every id in (from, to] is our own.
  [[nodiscard]] bool all_own(Generation from, Generation to) const;

 private:
  static constexpr std::size_t kRemembered = 256;
  std::deque<Generation> ids_;  // in the order of the commits
};

}  // namespace nmanager::netlink
