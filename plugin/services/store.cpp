#include "plugin/services/store.h"

#include <algorithm>
#include <cstdint>
#include <set>
#include <tuple>
#include <utility>

namespace nmanager::services {

bool ServiceStore::replace(std::vector<Service> services, const std::vector<std::string>& keep) {
  std::map<std::string, Service> next;
  for (Service& service : services) {
    std::string key = service.key;
    next.insert_or_assign(std::move(key), std::move(service));
  }
  for (const std::string& key : keep) {
    if (next.contains(key)) continue;
    if (auto held = services_.extract(key)) next.insert(std::move(held));
  }
  const bool changed = !listed_ || next != services_;
  services_ = std::move(next);
  listed_ = true;
  return changed;
}

bool ServiceStore::upsert(Service service) {
  auto [place, added] = services_.try_emplace(service.key, service);
  if (!added && place->second == service) return false;
  place->second = std::move(service);
  return true;
}

bool ServiceStore::remove(const std::string& key) {
  return services_.erase(key) > 0;
}

namespace {

/// Reasons that mean "this Service needs the fix but does not get it".
bool worth_showing(SkipReason reason) {
  switch (reason) {
    case SkipReason::kInternalPolicyLocal:
    case SkipReason::kNoClusterIpOfFamily:
    case SkipReason::kUnusableAddress:
    case SkipReason::kSourceRanges:
    case SkipReason::kMalformed:
    case SkipReason::kConflict:
    case SkipReason::kApiServer:
      return true;
    default:
      return false;
  }
}

class Collector {
 public:
  explicit Collector(Qualified& all) : all_(all) {}

  void skip(const Service& service, const Skip& skip) {
    ++all_.skipped[std::string(to_string(skip.reason))];
    if (!worth_showing(skip.reason) || all_.examples.size() >= kMaxExamples) return;
    all_.examples.push_back(service.key + (skip.address.empty() ? "" : " " + skip.address) + ": " +
                            std::string(in_words(skip.reason)));
  }

  /// True if another Service already has a port of `entry`; the rules give it to the first one.
  bool conflicts(const ExternalAddress& entry, MatchBy match) {
    bool conflict = false;
    if (match == MatchBy::kAddress) {
      return !taken_.emplace(entry.external, Protocol::kAny, std::uint16_t{0}).second;
    }
    for (const auto& ports : entry.ports) {
      for (const std::uint16_t port : ports.ports) {
        conflict = !taken_.emplace(entry.external, ports.protocol, port).second || conflict;
      }
    }
    return conflict;
  }

 private:
  static constexpr std::size_t kMaxExamples = 20;
  Qualified& all_;
  std::set<std::tuple<Address, Protocol, std::uint16_t>> taken_;
};

}  // namespace

Qualified qualify_all(const ServiceStore& store, const QualifySettings& settings) {
  Qualified all;
  Collector collector(all);
  for (const auto& [key, service] :
       store.services()) {  // sorted, so that the first owner is the same as in the rules
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
