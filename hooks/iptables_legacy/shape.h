// The information of IPT_SO_GET_INFO about a table: cheap to query (3-11 us), and most changes
// change it.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <map>
#include <optional>

#include "hooks/iptables_legacy/legacy_backend.h"
#include "hooks/values/table.h"

namespace nmanager::iptables_legacy {

inline constexpr std::size_t kHookCount = 5;  // NF_INET_NUMHOOKS

/// Offsets are in bytes from the first entry; those of hooks that the table lacks are 0.
struct TableShape {
  std::uint32_t valid_hooks = 0;
  std::array<std::uint32_t, kHookCount> hook_entry{};
  std::array<std::uint32_t, kHookCount> underflow{};  // the policy, after the chain's last rule
  std::uint32_t num_entries = 0;
  std::uint32_t size = 0;
  auto operator<=>(const TableShape&) const = default;
};

/// Whether every built-in chain has the same length. libiptc writes these chains first, so a rule
/// that was added or removed in another chain has no effect here.
[[nodiscard]] inline bool same_hooks(const TableShape& a, const TableShape& b) {
  return a.valid_hooks == b.valid_hooks && a.hook_entry == b.hook_entry &&
         a.underflow == b.underflow;
}

class SeenShapes {
 public:
  void record(TableId id, const TableShape& shape) { shapes_[id] = shape; }
  void forget(TableId id) { shapes_.erase(id); }
  [[nodiscard]] std::optional<TableShape> last(TableId id) const {
    const auto found = shapes_.find(id);
    return found == shapes_.end() ? std::nullopt : std::optional(found->second);
  }

 private:
  std::map<TableId, TableShape> shapes_;
};

}  // namespace nmanager::iptables_legacy
