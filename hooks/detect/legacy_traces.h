// Searches iptables-legacy's tables for chain names, with raw reads and only in tables that exist.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "hooks/iptables_legacy/kernel.h"
#include "hooks/values/address.h"
#include "hooks/values/result.h"

namespace nmanager::detect {

class LegacyTraces {
 public:
  /// Whether the table has any of these chains, in either family. A table that does not exist has
  /// none, and is not created.
  [[nodiscard]] Result<bool> any_chain(std::string_view table,
                                       std::span<const std::string_view> chains);

  /// Of what any_chain() last read of the table: moves when kube-proxy's chains, or the numbers of
  /// their rules, do. 0: nothing was read.
  [[nodiscard]] std::uint64_t kube_stamp(std::string_view table) const;

 private:
  /// The cached result for a table of that shape.
  struct Seen {
    iptables_legacy::TableShape shape;
    bool found = false;
    std::uint64_t kube_stamp = 0;
    std::chrono::steady_clock::time_point at;
    std::chrono::steady_clock::duration cost{};
  };

  template <class F>
  Result<bool> look(std::string_view table, std::span<const std::string_view> chains);

  std::map<std::pair<Family, std::string>, std::optional<Seen>> seen_;
};

}  // namespace nmanager::detect
