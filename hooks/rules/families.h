// The rule families: settings and services in, whole desired tables out. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "hooks/plan/desired.h"
#include "hooks/values/address.h"
#include "hooks/values/rule.h"

namespace nmanager {

/// One external address that shall be reached through a cluster address (problem 2 in the README).
/// Both addresses are of one family.
struct ExternalAddress {
  Address external;
  Address cluster;
  std::string owner;  // "namespace/name": the rules' comment
  struct Ports {
    Protocol protocol = Protocol::kTcp;
    std::vector<std::uint16_t> ports;  // sorted, unique, not empty
    auto operator<=>(const Ports&) const = default;
  };
  std::vector<Ports> ports;  // sorted by protocol, not empty
  /// Who may use it: empty = everybody; else only these sources (loadBalancerSourceRanges).
  std::vector<Prefix> allowed_sources;

  auto operator<=>(const ExternalAddress&) const = default;
};

enum class MatchBy : std::uint8_t { kPort, kAddress };

struct ExternalClusterSettings {
  std::optional<Prefix> pod_cidr;  // nothing: the pods' half is off
  MatchBy match = MatchBy::kPort;
  int masquerade_bit = 14;  // 0..31
};

/// -m conntrack --ctstate INVALID -j DROP behind INPUT. `exempt_sources` etc. come before it.
struct DropInvalidSettings {
  std::vector<std::string> exempt_interfaces;
  std::vector<Prefix> exempt_sources;
  std::vector<Prefix> exempt_destinations;
};

/// The filter table of one family.
[[nodiscard]] DesiredTable drop_invalid_table(Family family, const DropInvalidSettings& settings);

/// The nat table of one family. `addresses` may come in any order; those of the other family are
/// ignored. Equal sets give equal tables. Of two entries that claim the same external address,
/// protocol and port, the one whose owner sorts first wins (the kernel would take the first, too).
[[nodiscard]] DesiredTable external_cluster_table(Family family,
                                                  std::vector<ExternalAddress> addresses,
                                                  const ExternalClusterSettings& settings);

}  // namespace nmanager
