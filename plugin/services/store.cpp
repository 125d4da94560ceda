#include "plugin/services/store.h"

#include <algorithm>
#include <set>
#include <utility>

namespace nmanager::services {

bool ServiceStore::replace(std::vector<Service> services, const std::vector<std::string>& keep,
                           const OnChange& on_change) {
  std::ranges::stable_sort(services, {}, &Service::key);
  const std::set<std::string> kept(keep.begin(), keep.end());
  bool changed = !listed_;
  listed_ = true;
  auto place = services_.begin();
  const auto tell = [&](const Service* before, const Service* after) {
    changed = true;
    if (on_change) on_change(before, after);
  };
  const auto drop_until = [&](const std::string* key) {
    while (place != services_.end() && (key == nullptr || place->key < *key)) {
      if (kept.contains(place->key)) {
        ++place;
        continue;
      }
      tell(&*place, nullptr);
      place = services_.erase(place);
    }
  };
  for (std::size_t i = 0; i < services.size(); ++i) {
    Service& service = services[i];
    if (i + 1 < services.size() && services[i + 1].key == service.key) continue;  // the last counts
    drop_until(&service.key);
    if (place == services_.end() || place->key != service.key) {
      tell(nullptr, &service);
      services_.insert(place, std::move(service));
      continue;
    }
    if (*place != service) {
      tell(&*place, &service);
      place = services_.insert(services_.erase(place), std::move(service));
    }
    ++place;
  }
  drop_until(nullptr);
  return changed;
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
