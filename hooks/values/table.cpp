#include "hooks/values/table.h"

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
    case Hook::kOutput:
      return "OUTPUT";
  }
  return "?";
}

std::string to_string(TableId id) {
  return std::string(to_string(id.family)) + ' ' + std::string(to_string(id.table));
}

ChainName::ChainName(std::string_view name) : name_(name) {
  assert(!name.empty() && name.size() <= kMaxLength);
}

bool is_own_chain(std::string_view name) {
  return name.starts_with(kOwnChainPrefix);
}

bool is_kube_chain(std::string_view name) {
  return name.starts_with(kKubeChainPrefix);
}

std::optional<ChainName> hook_chain(Table table, Hook hook) {
  const bool ours = table == Table::kFilter ? hook == Hook::kInput : hook != Hook::kInput;
  if (!ours) return std::nullopt;
  return ChainName(std::string(kOwnChainPrefix) + std::string(to_string(hook)));
}

}  // namespace nmanager
