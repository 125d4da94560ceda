// The hash function for digests, checksums and chain names.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace nmanager {

/// 64-bit hash of bytes; stable across runs and machines of the same byte order. Not cryptographic.
[[nodiscard]] std::uint64_t hash_bytes(std::span<const std::uint8_t> bytes, std::uint64_t seed = 0);
[[nodiscard]] std::uint64_t hash_bytes(std::string_view text, std::uint64_t seed = 0);

/// Hashes a sequence of values; the length of each text and list is part of the hash. Equal
/// sequences have equal hashes, and the same bytes split differently into values have different
/// hashes.
class Hasher {
 public:
  explicit Hasher(std::uint64_t seed = 0) : value_(seed) {}

  void add(std::uint64_t number) {
    value_ = hash_bytes(std::span(reinterpret_cast<const std::uint8_t*>(&number), sizeof number),
                        value_);
  }
  void add(std::span<const std::uint8_t> bytes) { value_ = hash_bytes(bytes, value_); }
  void add(std::string_view text) { value_ = hash_bytes(text, value_); }
  [[nodiscard]] std::uint64_t value() const { return value_; }

 private:
  std::uint64_t value_;
};

}  // namespace nmanager
