// External addresses that shall be reached through cluster addresses, as a value that is cheap to
// copy, to change in one place and to compare with what it was made from. Pure.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "hooks/values/address.h"
#include "hooks/values/address_map.h"
#include "hooks/values/service_port.h"

namespace nmanager {

/// One external address that shall be reached through a cluster address (problem 2 in the README).
/// Both addresses are of one family.
struct ExternalAddress {
  Address external;
  Address cluster;
  std::string owner;               // "namespace/name": the rules' comment
  std::vector<ServicePort> ports;  // sorted, unique, not empty
  /// Who may use it: empty = everybody; else only these sources (loadBalancerSourceRanges).
  std::vector<Prefix> allowed_sources;

  auto operator<=>(const ExternalAddress&) const = default;
};

enum class MatchBy : std::uint8_t { kPort, kAddress };

/// Who gets one external address.
struct Settlement {
  std::vector<ExternalAddress> entries;  // sorted by owner
  std::set<std::string> losers;          // owners who do not get all that they claim
};

/// Of two that claim the same protocol and port the one whose owner sorts first gets it, with
/// MatchBy::kAddress the first of all. `claims` are all for one address, in any order.
[[nodiscard]] Settlement settle_claims(std::vector<ExternalAddress> claims, MatchBy match);

/// Sorted by external address, then owner. No address, protocol and port twice.
class ExternalAddresses {
 public:
  /// All that stands for one address; never empty in the map.
  using Owners = std::shared_ptr<const std::vector<ExternalAddress>>;
  using Map = AddressMap<Owners>;

  [[nodiscard]] std::size_t size() const { return map_.size(); }  // addresses
  /// Those that somebody has for UDP.
  [[nodiscard]] std::size_t size_for_udp() const { return for_udp_; }
  [[nodiscard]] bool empty() const { return map_.empty(); }
  [[nodiscard]] const Map& map() const { return map_; }
  /// Empty: there is none.
  [[nodiscard]] std::span<const ExternalAddress> at(const Address& external) const;
  /// Replaces what stands for `external`; all of `entries` are for it, sorted by owner.
  void set(const Address& external, std::vector<ExternalAddress> entries);
  /// Makes the first `most` of the addresses in which `to` differs as they are there; returns how
  /// many differ still.
  std::size_t approach(const ExternalAddresses& to, std::size_t most);

  /// Equal values have equal digests.
  [[nodiscard]] std::uint64_t digest() const { return digest_; }
  bool operator==(const ExternalAddresses& other) const;

 private:
  void set(const Address& external, Owners entries);  // null: none

  Map map_;
  std::uint64_t digest_ = 0;  // the sum over addresses: what one adds, it can take away
  std::size_t for_udp_ = 0;
};

/// The addresses for which the two differ, sorted. Costs what was changed since they were one.
[[nodiscard]] std::vector<Address> differences(const ExternalAddresses& a,
                                               const ExternalAddresses& b);

}  // namespace nmanager
