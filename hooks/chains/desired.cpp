#include "hooks/chains/desired.h"

#include "hooks/values/hash.h"

namespace nmanager::chains {

std::uint64_t digest_of(const DesiredTable& desired) {
  std::uint64_t digest = desired.jumps.size();
  for (const Hook hook : desired.jumps) digest = hash_bytes(to_string(hook), digest);
  for (const auto& [name, rules] : desired.chains) {
    digest = hash_bytes(name.str(), digest);
    for (const Rule& rule : rules) {
      const std::uint64_t hash = hash_of(rule);
      digest =
          hash_bytes(std::span(reinterpret_cast<const std::uint8_t*>(&hash), sizeof hash), digest);
    }
  }
  return digest;
}

std::size_t rule_count(const DesiredTable& desired) {
  std::size_t count = 0;
  for (const auto& chain : desired.chains) count += chain.second.size();
  return count;
}

}  // namespace nmanager::chains
