#include "hooks/chains/digests.h"

#include <cstdint>

#include "hooks/values/hash.h"

namespace nmanager::chains {

void ChainDigest::add_hash(std::uint64_t hash_of_rule) {
  Hasher hasher(value_ + 1);
  hasher.add(hash_of_rule);
  value_ = hasher.value();
}

std::uint64_t digest_of(std::span<const Rule> chain) {
  ChainDigest digest;
  for (const Rule& rule : chain) digest.add(rule);
  return digest.value();
}

ChainDigests digests_of(const DesiredTable& desired) {
  ChainDigests digests;
  for (const auto& [name, rules] : desired.chains) {
    const std::uint64_t digest = digest_of(rules);
    digests.chains.emplace_hint(digests.chains.end(), name, digest);
    digests.sum += hash_bytes(name.str(), digest);
  }
  return digests;
}

}  // namespace nmanager::chains
