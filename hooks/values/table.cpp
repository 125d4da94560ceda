#include "hooks/values/table.h"

#include <algorithm>
#include <cassert>

namespace nmanager {

std::string_view to_string(Table table) {
  return table == Table::kFilter ? "filter" : "nat";
}

std::string_view to_string(Hook hook) {
  switch (hook) {
    case Hook::kPrerouting:
      return "PREROUTING";
    case Hook::kInput:
      return "INPUT";
    case Hook::kForward:
      return "FORWARD";
    case Hook::kOutput:
      return "OUTPUT";
  }
  return "?";
}

std::string to_string(TableId id) {
  return std::string(to_string(id.family)) + ' ' + std::string(to_string(id.table));
}

ChainName::ChainName(std::string_view name) {
  assert(!name.empty() && name.size() <= kMaxLength);
  size_ = static_cast<std::uint8_t>(name.copy(name_.data(), kMaxLength));
}

bool is_own_chain(std::string_view name) {
  return name.starts_with(kOwnChainPrefix) && name.size() <= ChainName::kMaxLength;
}

std::span<const Hook> hooks_of(Table table) {
  static constexpr std::array kFilterHooks{Hook::kInput, Hook::kForward};
  static constexpr std::array kNatHooks{Hook::kPrerouting, Hook::kOutput};
  if (table == Table::kFilter) return kFilterHooks;
  return kNatHooks;
}

std::optional<ChainName> hook_chain(Table table, Hook hook) {
  const auto hooks = hooks_of(table);
  if (std::ranges::find(hooks, hook) == hooks.end()) return std::nullopt;
  return ChainName(std::string(kOwnChainPrefix) + std::string(to_string(hook)));
}

}  // namespace nmanager
