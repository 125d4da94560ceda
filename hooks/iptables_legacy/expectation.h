// Own chains compared with what they should hold, without decoding those that did not change since
// they were last found right. Pure.
#pragma once

#include <cstdint>
#include <set>
#include <string_view>
#include <vector>

#include "hooks/chains/digests.h"
#include "hooks/chains/observed.h"

namespace nmanager::iptables_legacy {

/// That a chain with these bytes holds the rules of this digest: 24 bytes a chain, kept by the
/// backend from one look to the next.
struct ChainProof {
  std::uint64_t name = 0;  // hash of the chain's name
  std::uint64_t bytes = 0;
  std::uint64_t digest = 0;
  auto operator<=>(const ChainProof&) const = default;
};
using ChainProofs = std::vector<ChainProof>;  // sorted

/// One look at one table; ask for each own chain once.
class Expectation {
 public:
  /// `expected` and `proofs` outlive the look; finish() replaces `proofs`.
  Expectation(const chains::ChainDigests& expected, ChainProofs& proofs)
      : expected_(expected), proofs_(proofs), next_(expected.chains.begin()) {}

  /// True when the chain is as expected for sure; else show its rules to judge().
  [[nodiscard]] bool is_proven(std::string_view chain, std::uint64_t hash_of_bytes);
  /// For the chain asked for last. True when its rules are the expected ones.
  [[nodiscard]] bool judge(const chains::ObservedChain& rules);

  /// The expected chains that were not asked for.
  [[nodiscard]] std::set<ChainName> finish();

 private:
  using Expected = std::map<ChainName, std::uint64_t>::const_iterator;

  [[nodiscard]] Expected find(std::string_view chain);

  const chains::ChainDigests& expected_;
  ChainProofs& proofs_;
  Expected next_;     // chains mostly come in the order of the map
  Expected current_;  // of the chain asked for last
  ChainProof asked_;
  ChainProofs found_;
  std::vector<const ChainName*> met_;
};

}  // namespace nmanager::iptables_legacy
