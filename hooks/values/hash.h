// One hash for digests, checksums and chain names.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace nmanager {

/// 64-bit hash of bytes; stable across runs and machines of the same byte order. Not cryptographic.
[[nodiscard]] std::uint64_t hash_bytes(std::span<const std::uint8_t> bytes, std::uint64_t seed = 0);
[[nodiscard]] std::uint64_t hash_bytes(std::string_view text, std::uint64_t seed = 0);

}  // namespace nmanager
