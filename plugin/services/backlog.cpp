#include "plugin/services/backlog.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>
#include <vector>

namespace nmanager::services {

namespace {

/// Its external addresses.
std::size_t cost_of(const Service& service) {
  return std::max<std::size_t>(1, service.ingress.size() + service.external_ips.size());
}

}  // namespace

const std::string& Backlog::key_of(const Change& change) {
  const auto* service = std::get_if<Service>(&change);
  return service != nullptr ? service->key : std::get<std::string>(change);
}

void Backlog::replace(ListChanges changes, const std::vector<std::string>& keep) {
  const std::set<std::string> kept(keep.begin(), keep.end());
  std::erase_if(waiting_, [&](const Change& one) { return !kept.contains(key_of(one)); });
  std::vector<std::pair<std::optional<Address>, std::size_t>> order;
  for (std::size_t i = 0; i < changes.changed.size(); ++i) {
    order.emplace_back(first_address(changes.changed[i]), i);
  }
  just_listed_ = true;
  std::ranges::sort(order);
  for (const auto& one : order) change(std::move(changes.changed[one.second]));
  for (std::string& key : changes.removed) remove(std::move(key));
  of_list_ = waiting_.size();
}

std::size_t Backlog::move_to(Catalog& catalog, std::size_t count) {
  if (std::exchange(just_listed_, false) && waiting_.size() > count) return 0;
  std::size_t passed = 0;
  for (; !waiting_.empty() && passed < count; waiting_.pop_front()) {
    if (of_list_.value_or(0) > 0) --*of_list_;
    if (auto* service = std::get_if<Service>(&waiting_.front())) {
      passed += cost_of(*service);
      catalog.upsert(std::move(*service));
    } else {
      const auto& key = std::get<std::string>(waiting_.front());
      const auto stands = catalog.services().find(key);
      passed += stands == catalog.services().end() ? 1 : cost_of(*stands);
      catalog.remove(key);
    }
  }
  if (waiting_.empty()) waiting_ = {};  // what a large list needed
  return passed;
}

}  // namespace nmanager::services
