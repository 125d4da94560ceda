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

void ChainDigests::set(const ChainName& chain, std::uint64_t digest) {
  const auto [place, added] = chains.try_emplace(chain, digest);
  if (!added && place->second == digest) return;
  if (!added) sum -= hash_bytes(chain.view(), place->second);
  sum += hash_bytes(chain.view(), digest);
  place->second = digest;
  if (changed) changed->push_back(chain);
}

void ChainDigests::erase(const ChainName& chain) {
  const auto place = chains.find(chain);
  if (place == chains.end()) return;
  sum -= hash_bytes(chain.view(), place->second);
  chains.erase(place);
  if (changed) changed->push_back(chain);
}

ChainDigests digests_of(const DesiredTable& desired) {
  ChainDigests digests;
  for (const auto& [name, rules] : desired.chains) {
    digests.set(name, digest_of(rules));
  }
  return digests;
}

}  // namespace nmanager::chains
