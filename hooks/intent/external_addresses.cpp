#include "hooks/intent/external_addresses.h"

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

#include "hooks/intent/digest.h"

namespace nmanager {

namespace {

/// The part of one external address in a digest.
std::uint64_t digest_of(const std::vector<ExternalAddress>& entries) {
  Digest digest;
  for (const ExternalAddress& entry : entries) {
    digest.add(entry.external);
    digest.add(entry.cluster);
    digest.add(entry.owner);
    digest.add(static_cast<std::uint64_t>(entry.ports.size()));
    for (const auto& [protocol, port] : entry.ports) {
      digest.add(static_cast<std::uint64_t>(protocol));
      digest.add(std::uint64_t{port});
    }
    digest.add(entry.allowed_sources);
  }
  return digest.value();
}

bool has_udp(const std::vector<ExternalAddress>& entries) {
  return std::ranges::any_of(entries, [](const ExternalAddress& entry) {
    return std::ranges::find(entry.ports, Protocol::kUdp, &ServicePort::protocol) !=
           entry.ports.end();
  });
}

bool same(const ExternalAddresses::Owners* a, const ExternalAddresses::Owners* b) {
  return a != nullptr && b != nullptr && **a == **b;
}

}  // namespace

Settlement settle_claims(std::vector<ExternalAddress> claims, MatchBy match) {
  std::ranges::sort(claims, [](const ExternalAddress& a, const ExternalAddress& b) {
    return std::tie(a.owner, a) < std::tie(b.owner, b);
  });
  std::set<ServicePort> taken;
  Settlement result;
  for (ExternalAddress& claim : claims) {
    if (!result.entries.empty() && match == MatchBy::kAddress) {
      result.losers.insert(claim.owner);
      continue;
    }
    const std::size_t lost = std::erase_if(
        claim.ports, [&](const ServicePort& port) { return !taken.insert(port).second; });
    if (lost > 0) result.losers.insert(claim.owner);
    if (!claim.ports.empty()) result.entries.push_back(std::move(claim));
  }
  return result;
}

std::span<const ExternalAddress> ExternalAddresses::at(const Address& external) const {
  const Owners* found = map_.find(external);
  return found == nullptr ? std::span<const ExternalAddress>() : **found;
}

void ExternalAddresses::set(const Address& external, std::vector<ExternalAddress> entries) {
  const Owners* stood = map_.find(external);
  if (stood != nullptr && **stood == entries) return;
  set(external, entries.empty()
                    ? Owners()
                    : std::make_shared<const std::vector<ExternalAddress>>(std::move(entries)));
}

void ExternalAddresses::set(const Address& external, Owners entries) {
  if (const Owners* stood = map_.find(external)) {
    digest_ -= digest_of(**stood);
    for_udp_ -= has_udp(**stood) ? 1 : 0;
  }
  if (entries == nullptr) {
    map_.erase(external);
    return;
  }
  digest_ += digest_of(*entries);
  for_udp_ += has_udp(*entries) ? 1 : 0;
  map_.set(external, std::move(entries));
}

std::size_t ExternalAddresses::approach(const ExternalAddresses& to, std::size_t most) {
  const std::vector<Address> different = differences(*this, to);
  const std::size_t count = std::min(most, different.size());
  if (count == different.size()) {
    *this = to;
    return 0;
  }
  for (const Address& address : std::span(different).first(count)) {
    const Owners* wanted = to.map_.find(address);
    set(address, wanted == nullptr ? Owners() : *wanted);
  }
  return different.size() - count;
}

bool ExternalAddresses::operator==(const ExternalAddresses& other) const {
  return digest_ == other.digest_ && size() == other.size() && differences(*this, other).empty();
}

std::vector<Address> differences(const ExternalAddresses& a, const ExternalAddresses& b) {
  std::vector<Address> result;
  using Owners = ExternalAddresses::Owners;
  ExternalAddresses::Map::for_each_difference(
      a.map(), b.map(), [&](const Address& address, const Owners* left, const Owners* right) {
        if (!same(left, right)) result.push_back(address);
      });
  return result;
}

}  // namespace nmanager
