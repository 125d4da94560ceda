// What one table of one family shall do, before it is said in any backend's terms: settings and
// Services in, one value out. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "hooks/intent/external_addresses.h"
#include "hooks/values/address.h"
#include "hooks/values/rule.h"
#include "hooks/values/table.h"

namespace nmanager {

/// Nothing of ours stands in the table.
struct NoRules {};

/// INVALID packets are dropped in INPUT, but for these. Prefixes of both families.
struct DropInvalid {
  std::vector<std::string> exempt_interfaces;
  std::vector<Prefix> exempt_sources;
  std::vector<Prefix> exempt_destinations;
};

struct ExternalClusterSettings {
  std::optional<Prefix> pod_cidr;  // nothing: the pods' half is off
  MatchBy match = MatchBy::kPort;
  int masquerade_bit = 14;  // 0..31
  bool operator==(const ExternalClusterSettings&) const = default;
};

/// External addresses are translated to cluster addresses and marked for masquerade.
struct ExternalCluster {
  ExternalAddresses addresses;  // of one family; by MatchBy::kAddress one owner each
  ExternalClusterSettings settings;
};

using TableSpec = std::variant<NoRules, DropInvalid, ExternalCluster>;

/// `addresses` may come in any order; those of the other family are ignored. Equal sets give equal
/// values. Of two entries that claim the same external address, protocol and port, the one whose
/// owner sorts first wins.
[[nodiscard]] ExternalCluster external_cluster(Family family,
                                               std::vector<ExternalAddress> addresses,
                                               const ExternalClusterSettings& settings);

/// Equal values have equal digests; kept instead of a value of thousands of addresses.
[[nodiscard]] std::uint64_t digest_of(const TableSpec& spec);

}  // namespace nmanager
