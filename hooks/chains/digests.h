// Digests of our chains, so that a table of thousands of rules is compared without decoding it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "hooks/chains/desired.h"
#include "hooks/values/rule.h"

namespace nmanager::chains {

/// One chain's content: its rules in order.
class ChainDigest {
 public:
  void add(const Rule& rule) { add_hash(hash_of(rule)); }
  void add_hash(std::uint64_t hash_of_rule);
  [[nodiscard]] std::uint64_t value() const { return value_; }

 private:
  std::uint64_t value_ = 0;
};

[[nodiscard]] std::uint64_t digest_of(std::span<const Rule> chain);

/// Every chain of a desired table.
struct ChainDigests {
  std::map<ChainName, std::uint64_t> chains;
  std::uint64_t sum = 0;  // equal sums: equal chains
  /// The chains that came, went or changed since the sum was `before`; nothing: not told.
  std::optional<std::vector<ChainName>> changed;
  std::uint64_t before = 0;

  void set(const ChainName& chain, std::uint64_t digest);
  void erase(const ChainName& chain);
};

[[nodiscard]] ChainDigests digests_of(const DesiredTable& desired);

}  // namespace nmanager::chains
