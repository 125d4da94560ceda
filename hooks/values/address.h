// IP addresses and prefixes of both families, as values.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace nmanager {

enum class Family : std::uint8_t { kIpv4, kIpv6 };

inline constexpr std::array kFamilies{Family::kIpv4, Family::kIpv6};

[[nodiscard]] std::string_view to_string(Family family);  // "IPv4", "IPv6"

/// Length of an address in bits: 32 or 128.
[[nodiscard]] constexpr int address_bits(Family family) {
  return family == Family::kIpv4 ? 32 : 128;
}

/// One IP address in network byte order. An IPv4 address uses the first four bytes, the others are
/// 0.
class Address {
 public:
  Address() = default;
  Address(Family family, std::span<const std::uint8_t> bytes);

  /// Strict text form (RFC 4291 / dotted quad without leading zeros); no zone, no port, no prefix.
  [[nodiscard]] static std::optional<Address> parse(std::string_view text);
  /// As Kubernetes parses the addresses of stored Services (ParseIPSloppy of k8s.io/utils/net):
  /// leading zeros are allowed and decimal, and ::ffff:192.0.2.1 is the IPv4 address.
  [[nodiscard]] static std::optional<Address> parse_sloppy(std::string_view text);

  [[nodiscard]] Family family() const { return family_; }
  [[nodiscard]] std::span<const std::uint8_t> bytes() const;
  [[nodiscard]] bool bit(int index) const;             // 0 is the highest bit
  [[nodiscard]] std::uint8_t nibble(int index) const;  // 0 is the highest half byte

  [[nodiscard]] bool is_unspecified() const;
  [[nodiscard]] bool is_loopback() const;
  [[nodiscard]] bool is_multicast() const;
  [[nodiscard]] bool is_link_local() const;

  auto operator<=>(const Address&) const = default;

 private:
  Family family_ = Family::kIpv4;
  std::array<std::uint8_t, 16> bytes_{};
};

[[nodiscard]] std::string to_string(const Address& address);

/// An address block in canonical form: the host bits are 0. Length 0..32 or 0..128.
class Prefix {
 public:
  Prefix() = default;
  /// Host bits of `address` are cleared; `length` is clamped to the family's address length.
  Prefix(const Address& address, int length);
  [[nodiscard]] static Prefix host(const Address& address);

  /// "10.0.0.0/8"; host bits may be set and are cleared. A bare address is not a prefix.
  [[nodiscard]] static std::optional<Prefix> parse(std::string_view text);
  /// As Kubernetes parses the address blocks of Services (ParseCIDRSloppy): leading zeros are
  /// allowed and decimal. A block of mapped IPv4 addresses is refused: it is valid in neither
  /// family.
  [[nodiscard]] static std::optional<Prefix> parse_sloppy(std::string_view text);

  [[nodiscard]] Family family() const { return address_.family(); }
  [[nodiscard]] const Address& address() const { return address_; }
  [[nodiscard]] int length() const { return length_; }
  [[nodiscard]] bool contains(const Address& address) const;
  [[nodiscard]] bool contains(const Prefix& other) const;
  /// The highest address in it; address() is the lowest.
  [[nodiscard]] Address last() const;
  /// Netmask bytes in network order, 4 or 16.
  [[nodiscard]] Address mask() const;
  /// The inverse of mask(); nullopt: not the mask of a prefix.
  [[nodiscard]] static std::optional<int> length_of(const Address& mask);

  auto operator<=>(const Prefix&) const = default;

 private:
  Address address_;
  std::uint8_t length_ = 0;
};

/// The smaller of two blocks if one contains the other; nullopt if they are disjoint.
[[nodiscard]] std::optional<Prefix> intersect(const Prefix& a, const Prefix& b);

[[nodiscard]] std::string to_string(const Prefix& prefix);  // always with the length

}  // namespace nmanager
