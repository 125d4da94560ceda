#include "hooks/intent/backend.h"

namespace nmanager {

std::vector<Goal> no_rules_anywhere() {
  return no_rules_in(kTables);
}

std::vector<Goal> no_rules_in(std::span<const TableId> tables) {
  const auto nothing = std::make_shared<const TableSpec>();
  std::vector<Goal> goals;
  goals.reserve(tables.size());
  for (const TableId id : tables) goals.push_back({id, nothing});
  return goals;
}

}  // namespace nmanager
