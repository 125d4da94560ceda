// The elements of one set, in any order, held against what a spec wants of it: only what differs
// has to be kept. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <set>
#include <span>
#include <vector>

#include "hooks/nftables/ruleset.h"

namespace nmanager::nftables {

class MatchElements {
 public:
  /// `spec` is an ExternalCluster alone.
  MatchElements(const SetId& id, const TableSpec& spec);

  /// An element of the set; each once.
  void see(const Element& element);
  /// The addresses for which other elements stand than those that `spec` wants; sorted. To be
  /// called after the last element.
  [[nodiscard]] std::vector<Address> differing() const;

 private:
  struct Both {
    Address address;
    ElementSum wanted;
    ElementSum seen;
  };

  [[nodiscard]] Both* find(const Address& address);

  std::vector<Both> addresses_;  // that are wanted, in their order
  /// Open addressing, at most half full: places in addresses_, from 1. Elements come in no order,
  /// and a binary search for each took half of the time.
  std::vector<std::uint32_t> table_{0};
  std::set<Address> others_;
};

/// `spec`, an ExternalCluster alone, without these addresses.
[[nodiscard]] std::shared_ptr<const TableSpec> without(const TableSpec& spec,
                                                       std::span<const Address> addresses);

}  // namespace nmanager::nftables
