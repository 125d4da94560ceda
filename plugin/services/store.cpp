#include "plugin/services/store.h"

#include <algorithm>
#include <set>
#include <utility>

namespace nmanager::services {

std::optional<Address> first_address(const Service& service) {
  if (!service.ingress.empty()) return service.ingress.front().ip;
  if (!service.external_ips.empty()) return service.external_ips.front();
  return std::nullopt;
}

ListChanges ServiceStore::changes_to(std::vector<Service> services,
                                     const std::vector<std::string>& keep) const {
  if (!std::ranges::is_sorted(services, {}, &Service::key)) {
    std::ranges::stable_sort(services, {}, &Service::key);
  }
  const std::set<std::string> kept(keep.begin(), keep.end());
  std::vector<std::pair<std::optional<Address>, const std::string*>> removed;
  auto place = services_.begin();
  const auto pass = [&] {
    if (!kept.contains(place->key)) removed.emplace_back(first_address(*place), &place->key);
    ++place;
  };
  auto changed = services.begin();
  for (std::size_t i = 0; i < services.size(); ++i) {
    Service& service = services[i];
    if (i + 1 < services.size() && services[i + 1].key == service.key) continue;  // the last counts
    while (place != services_.end() && place->key < service.key) pass();
    const bool known = place != services_.end() && place->key == service.key;
    const bool same = known && *place == service;
    if (known) ++place;
    if (same) continue;
    if (&*changed != &service) *changed = std::move(service);
    ++changed;
  }
  while (place != services_.end()) pass();
  services.erase(changed, services.end());
  std::ranges::sort(removed, {}, [](const auto& one) { return one.first; });
  ListChanges changes{std::move(services), {}};
  for (const auto& one : removed) changes.removed.push_back(*one.second);
  return changes;
}

bool ServiceStore::upsert(Service service, const OnChange& on_change) {
  const auto place = services_.find(service.key);
  const bool known = place != services_.end();
  if (known && *place == service) return false;
  if (on_change) on_change(known ? &*place : nullptr, &service);
  services_.insert(known ? services_.erase(place) : place, std::move(service));
  return true;
}

bool ServiceStore::remove(const std::string& key, const OnChange& on_change) {
  const auto place = services_.find(key);
  if (place == services_.end()) return false;
  if (on_change) on_change(&*place, nullptr);
  services_.erase(place);
  return true;
}

bool worth_showing(SkipReason reason) {
  switch (reason) {
    case SkipReason::kInternalPolicyLocal:
    case SkipReason::kNoClusterIpOfFamily:
    case SkipReason::kUnusableAddress:
    case SkipReason::kSourceRanges:
    case SkipReason::kMalformed:
    case SkipReason::kConflict:
    case SkipReason::kTooLarge:
    case SkipReason::kApiServer:
      return true;
    default:
      return false;
  }
}

std::string line_of(const std::string& key, const Skip& skip) {
  return key + (skip.address.empty() ? "" : " " + skip.address) + ": " +
         std::string(in_words(skip.reason));
}

namespace {

class Collector {
 public:
  explicit Collector(Qualified& all) : all_(all) {}

  void skip(const Service& service, const Skip& skip) {
    ++all_.skipped[std::string(to_string(skip.reason))];
    if (!worth_showing(skip.reason) || all_.examples.size() >= kMostExamples) return;
    all_.examples.push_back(line_of(service.key, skip));
  }

  /// True if another Service already has a port of `entry`; the rules give it to the first one.
  bool conflicts(const ExternalAddress& entry, MatchBy match) {
    bool conflict = false;
    if (match == MatchBy::kAddress) {
      return !taken_.emplace(entry.external, ServicePort{Protocol::kAny, 0}).second;
    }
    for (const ServicePort& port : entry.ports) {
      conflict = !taken_.emplace(entry.external, port).second || conflict;
    }
    return conflict;
  }

 private:
  Qualified& all_;
  std::set<std::pair<Address, ServicePort>> taken_;
};

}  // namespace

Qualified qualify_all(const ServiceStore& store, const QualifySettings& settings) {
  Qualified all;
  Collector collector(all);
  for (const Service& service : store.services()) {  // sorted: the first owner is that of the rules
    Qualification one = qualify(service, settings);
    for (const Skip& skip : one.skipped) collector.skip(service, skip);
    for (const ExternalAddress& entry : one.addresses) {
      if (collector.conflicts(entry, settings.match)) {
        collector.skip(service, {SkipReason::kConflict, to_string(entry.external)});
      }
    }
    if (!one.addresses.empty()) ++all.services_with_rules;
    std::ranges::move(one.addresses, std::back_inserter(all.addresses));
  }
  return all;
}

}  // namespace nmanager::services
