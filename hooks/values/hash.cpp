#include "hooks/values/hash.h"

#include <cstdint>
#include <cstring>

namespace nmanager {

namespace {

// The finaliser of splitmix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number
// generators").
constexpr std::uint64_t mix(std::uint64_t x) {
  x ^= x >> 30;
  x *= 0xbf58476d1ce4e5b9U;
  x ^= x >> 27;
  x *= 0x94d049bb133111ebU;
  x ^= x >> 31;
  return x;
}

constexpr std::uint64_t kIncrement = 0x9e3779b97f4a7c15U;

}  // namespace

// Eight bytes per step: the input is a kernel table of up to 66 MB, read after every change.
std::uint64_t hash_bytes(std::span<const std::uint8_t> bytes, std::uint64_t seed) {
  std::uint64_t state = mix(seed + kIncrement * (bytes.size() + 1));
  std::size_t at = 0;
  for (; at + 8 <= bytes.size(); at += 8) {
    std::uint64_t word;
    std::memcpy(&word, bytes.data() + at, 8);
    state = (state ^ word) * 0xff51afd7ed558ccdU;
    state ^= state >> 32;
  }
  std::uint64_t last = 0;
  if (at < bytes.size()) std::memcpy(&last, bytes.data() + at, bytes.size() - at);
  return mix((state ^ last) + kIncrement);
}

std::uint64_t hash_bytes(std::string_view text, std::uint64_t seed) {
  return hash_bytes(std::span(reinterpret_cast<const std::uint8_t*>(text.data()), text.size()),
                    seed);
}

}  // namespace nmanager
