// Compares our chains with their expected content, without decoding chains that did not change
// since they last matched. Pure.
#pragma once

#include <cstdint>
#include <set>
#include <string_view>
#include <vector>

#include "hooks/chains/digests.h"
#include "hooks/chains/observed.h"
#include "hooks/values/hash.h"

namespace nmanager::iptables_legacy {

/// Proof that a chain with these bytes has the rules of this digest. 24 bytes per chain, kept by
/// the backend between two reads.
struct ChainProof {
  std::uint64_t name = 0;  // hash of the chain's name
  std::uint64_t bytes = 0;
  std::uint64_t digest = 0;
  auto operator<=>(const ChainProof&) const = default;
};
using ChainProofs = std::vector<ChainProof>;  // sorted

/// One read of one table; query each of our chains once.
class Expectation {
 public:
  /// `expected` and `proofs` must outlive this object; finish() replaces `proofs`.
  Expectation(const chains::ChainDigests& expected, ChainProofs& proofs)
      : expected_(expected), proofs_(proofs), next_(expected.chains.begin()) {}

  /// True if the chain is proven to be as expected; otherwise pass its rules to judge().
  /// `hash_of_bytes` is called for a chain that is expected.
  template <class Hash>
  [[nodiscard]] bool is_proven(std::string_view chain, Hash&& hash_of_bytes) {
    return expects(chain) && is_proven(ChainProof{hash_bytes(chain), hash_of_bytes(), digest()});
  }
  /// For the chain that was queried last. True if its rules are the expected ones.
  [[nodiscard]] bool judge(const chains::ObservedChain& rules);

  /// The expected chains that were not queried.
  [[nodiscard]] std::set<ChainName> finish();

 private:
  using Expected = std::map<ChainName, std::uint64_t>::const_iterator;

  [[nodiscard]] Expected find(std::string_view chain);
  [[nodiscard]] bool expects(std::string_view chain);
  [[nodiscard]] std::uint64_t digest() const { return current_->second; }
  [[nodiscard]] bool is_proven(const ChainProof& asked);

  const chains::ChainDigests& expected_;
  ChainProofs& proofs_;
  Expected next_;     // chains usually arrive in the order of the map
  Expected current_;  // of the chain that was queried last
  ChainProof asked_;
  ChainProofs found_;
  std::vector<const ChainName*> met_;
};

}  // namespace nmanager::iptables_legacy
