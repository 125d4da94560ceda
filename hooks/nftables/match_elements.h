// The elements of one set, in any order, held against what a spec wants of it: only what differs
// has to be kept. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "hooks/nftables/ruleset.h"

namespace nmanager::nftables {

class MatchElements {
 public:
  /// `spec` is an ExternalCluster alone.
  MatchElements(const SetId& id, std::shared_ptr<const TableSpec> spec);

  /// An element of the set; each once.
  void see(const Element& element);

  // After the last element:
  /// Exactly what the spec wants stands.
  [[nodiscard]] bool all_match() const;
  /// False: for this address exactly what the spec wants stands. True also for a few others.
  [[nodiscard]] bool may_differ(const Address& address) const;
  /// The spec without the addresses that may differ.
  [[nodiscard]] std::shared_ptr<const TableSpec> matching() const;

 private:
  [[nodiscard]] std::size_t bucket_of(const Address& address) const;

  std::shared_ptr<const TableSpec> spec_;
  /// What is wanted less what was seen, in sums over some addresses each: elements come in no
  /// order, and to find the address of each took most of the time. A power of two.
  std::vector<std::uint64_t> buckets_ = std::vector<std::uint64_t>(1);
};

}  // namespace nmanager::nftables
