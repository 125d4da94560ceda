#include "plugin/services/catalog.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "hooks/values/hash.h"

namespace nmanager::services {

namespace {
/// Addresses that are settled at once. A list is settled in parts, so that temporary memory is
/// reused instead of leaving holes between what is kept.
constexpr std::size_t kMostUnsettled = 64;
}  // namespace

bool Catalog::upsert(Service service) {
  return store_.upsert(std::move(service), [this](const Service* before, const Service* after) {
    changed(before, after);
  });
}

bool Catalog::remove(const std::string& key) {
  return store_.remove(
      key, [this](const Service* before, const Service* after) { changed(before, after); });
}

void Catalog::configure(const QualifySettings& settings) {
  if (settings == settings_) return;
  settings_ = settings;
  make_again();
}

void Catalog::make_again() {
  addresses_ = {};
  contested_.clear();
  unsettled_.clear();
  skipped_.clear();
  services_with_rules_ = 0;
  concerned_.clear();
  notable_.clear();
  for (const Service& service : store_.services()) changed(nullptr, &service);
}

void Catalog::count(const std::vector<Skip>& skips, std::ptrdiff_t sign) {
  for (const Skip& skip : skips) skipped_[skip.reason] += static_cast<std::size_t>(sign);
}

void Catalog::changed(const Service* before, const Service* after) {
  // Until here the store holds every change before this one.
  if (unsettled_.size() >= kMostUnsettled) settle();
  const std::string& key = before != nullptr ? before->key : after->key;
  const auto take = [&](const Service* service, bool claims) {
    if (service == nullptr) return;
    const Qualification one = qualify(*service, settings_);
    count(one.skipped, claims ? 1 : -1);
    if (!one.addresses.empty()) services_with_rules_ += claims ? 1 : std::size_t(-1);
    for (const ExternalAddress& entry : one.addresses) {
      Owners& owners = unsettled_owners(entry.external);
      if (claims) {
        owners.insert(key);
      } else {
        owners.erase(key);
      }
    }
    if (std::ranges::any_of(one.skipped, worth_showing, &Skip::reason)) concerned_.insert(key);
  };
  take(before, false);
  take(after, true);
}

/// Those who claim the address, to be changed.
Catalog::Owners& Catalog::unsettled_owners(const Address& address) {
  const auto [place, added] = unsettled_.try_emplace(address);
  Owners& owners = place->second.owners;
  if (!added) return owners;
  const auto contested = contested_.find(address);
  if (contested != contested_.end()) {
    owners = contested->second.owners;
  } else {
    for (const ExternalAddress& entry : addresses(address.family()).at(address)) {
      owners.insert(entry.owner);
    }
  }
  return owners;
}

void Catalog::settle() {
  Owners claimants;
  for (const auto& entry : unsettled_) {
    claimants.insert(entry.second.owners.begin(), entry.second.owners.end());
  }
  const auto& services = store_.services();
  for (const std::string& key : claimants) {
    for (ExternalAddress& claim : qualify(*services.find(key), settings_).addresses) {
      const auto place = unsettled_.find(claim.external);
      if (place != unsettled_.end()) place->second.claims.push_back(std::move(claim));
    }
  }
  for (auto& [address, unsettled] : unsettled_) settle(address, unsettled, concerned_);
  unsettled_.clear();
  for (const std::string& key : std::exchange(concerned_, {})) note(key);
}

void Catalog::settle(const Address& address, Unsettled& unsettled, Owners& concerned) {
  const auto contested = contested_.find(address);
  if (contested != contested_.end()) {
    skipped_[SkipReason::kConflict] -= contested->second.losers.size();
    concerned.insert(contested->second.owners.begin(), contested->second.owners.end());
    contested_.erase(contested);
  }
  Settlement settled = settle_claims(std::move(unsettled.claims), settings_.match);
  if (unsettled.owners.size() > 1) {
    skipped_[SkipReason::kConflict] += settled.losers.size();
    concerned.insert(unsettled.owners.begin(), unsettled.owners.end());
    contested_[address] = {std::move(unsettled.owners), std::move(settled.losers)};
  }
  addresses_[static_cast<std::size_t>(address.family())].set(address, std::move(settled.entries));
}

void Catalog::note(const std::string& key) {
  notable_.erase(key);
  const auto service = store_.services().find(key);
  if (service == store_.services().end()) return;
  const Qualification one = qualify(*service, settings_);
  std::vector<std::string> lines;
  for (const Skip& skip : one.skipped) {
    if (worth_showing(skip.reason)) lines.push_back(line_of(key, skip));
  }
  for (const ExternalAddress& entry : one.addresses) {
    const auto contested = contested_.find(entry.external);
    if (contested == contested_.end() || !contested->second.losers.contains(key)) continue;
    lines.push_back(line_of(key, {SkipReason::kConflict, to_string(entry.external)}));
  }
  if (lines.size() > kMostExamples) lines.resize(kMostExamples);
  if (!lines.empty()) notable_[key] = std::move(lines);
}

const ExternalAddresses& Catalog::addresses(Family family) const {
  return addresses_[static_cast<std::size_t>(family)];
}

std::map<std::string, std::size_t> Catalog::skipped() const {
  std::map<std::string, std::size_t> result;
  for (const auto& [reason, number] : skipped_) {
    if (number > 0) result[std::string(to_string(reason))] = number;
  }
  return result;
}

std::vector<std::string> Catalog::examples() const {
  std::vector<std::string> result;
  for (const auto& [key, lines] : notable_) {
    const std::size_t room = kMostExamples - result.size();
    if (room == 0) break;
    std::ranges::copy(lines.begin(),
                      lines.begin() + static_cast<std::ptrdiff_t>(std::min(room, lines.size())),
                      std::back_inserter(result));
  }
  return result;
}

namespace {

/// In which of `parts` an address is looked at.
std::size_t part_of(const Address& address, std::size_t parts) {
  return parts == 1 ? 0 : hash_bytes(address.bytes()) % parts;
}

/// May have an external address of that part.
bool touches(const Service& service, std::size_t part, std::size_t parts) {
  const auto in_part = [&](const Address& address) { return part_of(address, parts) == part; };
  return std::ranges::any_of(service.external_ips, in_part) ||
         std::ranges::any_of(service.ingress, in_part, &LoadBalancerIngress::ip);
}

}  // namespace

std::optional<std::string> Catalog::difference(std::size_t part, std::size_t parts) const {
  std::vector<ExternalAddress> all;
  for (const Service& service : store_.services()) {
    if (!touches(service, part, parts)) continue;
    std::ranges::move(qualify(service, settings_).addresses, std::back_inserter(all));
  }
  std::erase_if(all, [&](const auto& one) { return part_of(one.external, parts) != part; });
  ExternalClusterSettings external;
  external.match = settings_.match;
  for (const Family family : kFamilies) {
    const auto expected = external_cluster(family, all, external).addresses;
    std::size_t stand = 0;
    for (const auto& [address, entries] : addresses(family).map()) {
      if (part_of(address, parts) != part) continue;
      ++stand;
      if (std::ranges::equal(expected.at(address), *entries)) continue;
      return "external address " + to_string(address);
    }
    if (stand != expected.size()) return "external addresses are missing";
  }
  return std::nullopt;
}

std::optional<std::string> Catalog::check(std::size_t part, std::size_t parts) {
  settle();
  auto found = difference(part, parts);
  if (!found) return found;
  make_again();
  settle();
  return found;
}

}  // namespace nmanager::services
