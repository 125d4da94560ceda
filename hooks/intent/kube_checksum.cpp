#include "hooks/intent/kube_checksum.h"

#include <cstdint>

#include "hooks/values/hash.h"

namespace nmanager {

void ChecksumSum::add_chain(std::string_view chain) {
  sum_ += hash_bytes(chain, 1);
}

void ChecksumSum::add_rule(std::string_view chain,
                           std::span<const std::uint8_t> rule_without_counters,
                           std::string_view jump_target) {
  sum_ += hash_bytes(rule_without_counters, hash_bytes(jump_target, hash_bytes(chain, 2)));
}

}  // namespace nmanager
