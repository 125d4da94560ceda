// The goal of one table of one family, independent of the backend: derived from settings and
// Services. Pure.
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "hooks/intent/drop_invalid.h"
#include "hooks/intent/external_addresses.h"
#include "hooks/values/address.h"
#include "hooks/values/rule.h"
#include "hooks/values/table.h"

namespace nmanager {

struct ExternalClusterSettings {
  std::optional<Prefix> pod_cidr;  // nullopt: the part for pods is off
  MatchBy match = MatchBy::kPort;
  int masquerade_bit = 14;  // 0..31
  bool operator==(const ExternalClusterSettings&) const = default;
};

/// External addresses are translated to cluster addresses and marked for masquerade.
struct ExternalCluster {
  ExternalAddresses addresses;  // of one family; by MatchBy::kAddress one owner each
  ExternalClusterSettings settings;
  bool operator==(const ExternalCluster&) const = default;
};

/// One cure in one table. A new one is a new alternative: docs/extending.md.
using RuleFamily = std::variant<DropInvalid, ExternalCluster>;

/// The rule families of one table, which share its hooks: each has its own hook or chains. Empty:
/// the table must have nothing of ours.
struct TableSpec {
  std::vector<RuleFamily> families;

  TableSpec() = default;
  template <class One>
  requires std::constructible_from<RuleFamily, One> TableSpec(One&& one) {
    families.emplace_back(std::forward<One>(one));
  }
  TableSpec(std::vector<RuleFamily> all) : families(std::move(all)) {}
};

/// The hooks that have to lead to rules of `spec`, sorted.
[[nodiscard]] std::vector<Hook> hooks_of(const TableSpec& spec);

/// Its family of external addresses; null: it has none. There is at most one.
[[nodiscard]] const ExternalCluster* external_of(const TableSpec& spec);
/// The same, but null as well when there is another family beside it.
[[nodiscard]] const ExternalCluster* only_external_of(const TableSpec& spec);
/// Its one family is that of external addresses, and there are some: what can be written in parts.
[[nodiscard]] bool wants_addresses_only(const TableSpec& spec);

/// `addresses` may come in any order; those of the other family are ignored. Equal sets give equal
/// values. Of two entries that claim the same external address, protocol and port, the one whose
/// owner sorts first wins.
[[nodiscard]] ExternalCluster external_cluster(Family family,
                                               std::vector<ExternalAddress> addresses,
                                               const ExternalClusterSettings& settings);

/// Equal values have equal digests; stored instead of a value of thousands of addresses.
[[nodiscard]] std::uint64_t digest_of(const TableSpec& spec);

}  // namespace nmanager
