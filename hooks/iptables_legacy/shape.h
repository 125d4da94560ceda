// What IPT_SO_GET_INFO tells of a table: cheap to ask (3-11 us), and it moves with most changes.
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
  std::array<std::uint32_t, kHookCount> underflow{};  // the policy, behind the chain's last rule
  std::uint32_t num_entries = 0;
  std::uint32_t size = 0;
  auto operator<=>(const TableShape&) const = default;
};

/// Whether every built-in chain is as long as it was. libiptc writes those first, so a rule that
/// came or went elsewhere does not show here.
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
