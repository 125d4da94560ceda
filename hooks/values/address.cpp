#include "hooks/values/address.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstdint>

namespace nmanager {

namespace {

std::optional<int> parse_number(std::string_view text, int base, int max) {
  if (text.starts_with('-')) return std::nullopt;  // from_chars accepts "-0"
  int value = 0;
  const char* end = text.data() + text.size();
  auto [rest, error] = std::from_chars(text.data(), end, value, base);
  if (error != std::errc{} || rest != end || value < 0 || value > max) return std::nullopt;
  return value;
}

enum class Zeros : bool { kRefused, kAllowed };  // leading zeros of a decimal number

/// Parses four decimal numbers into bytes[0..3].
bool parse_dotted(std::string_view text, std::span<std::uint8_t> bytes, Zeros zeros) {
  for (std::size_t i = 0; i < 4; ++i) {
    const std::size_t dot = i < 3 ? text.find('.') : text.size();
    if (dot == std::string_view::npos || dot == 0) return false;
    const std::string_view part = text.substr(0, dot);
    if (zeros == Zeros::kRefused && part.size() > 1 && part.front() == '0') return false;
    const auto value = parse_number(part, 10, 255);
    if (!value) return false;
    bytes[i] = static_cast<std::uint8_t>(*value);
    text.remove_prefix(std::min(dot + 1, text.size()));
  }
  return text.empty();
}

/// Parses the groups of one side of "::"; returns the number of bytes written, or nullopt. The last
/// part may be a dotted quad.
std::optional<std::size_t> parse_groups(std::string_view text, std::span<std::uint8_t> bytes,
                                        Zeros zeros) {
  std::size_t used = 0;
  while (!text.empty()) {
    const std::size_t colon = text.find(':');
    const std::string_view part = text.substr(0, colon);
    if (colon == std::string_view::npos && part.find('.') != std::string_view::npos) {
      if (used + 4 > bytes.size() || !parse_dotted(part, bytes.subspan(used, 4), zeros))
        return std::nullopt;
      return used + 4;
    }
    const auto value = part.size() <= 4 ? parse_number(part, 16, 0xffff) : std::nullopt;
    if (!value || used + 2 > bytes.size()) return std::nullopt;
    bytes[used] = static_cast<std::uint8_t>(*value >> 8);
    bytes[used + 1] = static_cast<std::uint8_t>(*value & 0xff);
    used += 2;
    if (colon == std::string_view::npos) break;
    text.remove_prefix(colon + 1);
    if (text.empty()) return std::nullopt;  // a single trailing colon
  }
  return used;
}

bool parse_ipv6(std::string_view text, std::span<std::uint8_t, 16> bytes, Zeros zeros) {
  const std::size_t gap = text.find("::");
  if (gap == std::string_view::npos) return parse_groups(text, bytes, zeros) == 16;
  const std::string_view left = text.substr(0, gap);
  const std::string_view right = text.substr(gap + 2);
  std::array<std::uint8_t, 16> tail{};
  const auto head_size = parse_groups(left, bytes, zeros);
  const auto tail_size = parse_groups(right, tail, zeros);
  // "::" replaces at least one group of zeros (RFC 4291, 2.2).
  if (!head_size || !tail_size || *head_size + *tail_size > 14) return false;
  if (left.find('.') != std::string_view::npos) return false;
  std::fill(bytes.begin() + static_cast<std::ptrdiff_t>(*head_size), bytes.end(), std::uint8_t{0});
  std::copy_n(tail.begin(), *tail_size, bytes.end() - static_cast<std::ptrdiff_t>(*tail_size));
  return true;
}

std::string dotted(std::span<const std::uint8_t> bytes) {
  return std::to_string(bytes[0]) + '.' + std::to_string(bytes[1]) + '.' +
         std::to_string(bytes[2]) + '.' + std::to_string(bytes[3]);
}

/// The longest run of at least two zero groups, the first one of equal length (RFC 5952, 4.2):
/// [begin, end).
std::pair<int, int> longest_zero_run(std::span<const std::uint8_t> bytes) {
  std::pair<int, int> best{-1, -1};
  for (int i = 0; i < 8;) {
    int end = i;
    while (end < 8 && bytes[static_cast<std::size_t>(2 * end)] == 0 &&
           bytes[static_cast<std::size_t>(2 * end + 1)] == 0) {
      ++end;
    }
    if (end - i >= 2 && end - i > best.second - best.first) best = {i, end};
    i = std::max(end, i + 1);
  }
  return best;
}

}  // namespace

std::string_view to_string(Family family) {
  return family == Family::kIpv4 ? "IPv4" : "IPv6";
}

Address::Address(Family family, std::span<const std::uint8_t> bytes) : family_(family) {
  const auto want = static_cast<std::size_t>(address_bits(family) / 8);
  std::copy_n(bytes.begin(), std::min(want, bytes.size()), bytes_.begin());
}

namespace {

std::optional<Address> parse_address(std::string_view text, Zeros zeros) {
  std::array<std::uint8_t, 16> bytes{};
  if (text.find(':') == std::string_view::npos) {
    if (!parse_dotted(text, std::span(bytes).first<4>(), zeros)) return std::nullopt;
    return Address(Family::kIpv4, bytes);
  }
  if (!parse_ipv6(text, bytes, zeros)) return std::nullopt;
  return Address(Family::kIpv6, bytes);
}

std::optional<Prefix> parse_prefix(std::string_view text, Zeros zeros) {
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const auto address = parse_address(text.substr(0, slash), zeros);
  if (!address) return std::nullopt;
  const std::string_view digits = text.substr(slash + 1);
  if (zeros == Zeros::kRefused && digits.size() > 1 && digits.front() == '0') return std::nullopt;
  const auto length = parse_number(digits, 10, address_bits(address->family()));
  if (!length) return std::nullopt;
  return Prefix(*address, *length);
}

bool is_mapped(std::span<const std::uint8_t> bytes) {
  return std::all_of(bytes.begin(), bytes.begin() + 10, [](std::uint8_t b) { return b == 0; }) &&
         bytes[10] == 0xff && bytes[11] == 0xff;
}

}  // namespace

std::optional<Address> Address::parse(std::string_view text) {
  return parse_address(text, Zeros::kRefused);
}

std::optional<Address> Address::parse_sloppy(std::string_view text) {
  const auto address = parse_address(text, Zeros::kAllowed);
  if (!address || address->family() == Family::kIpv4 || !is_mapped(address->bytes())) {
    return address;
  }
  return Address(Family::kIpv4, address->bytes().subspan(12));
}

std::span<const std::uint8_t> Address::bytes() const {
  return std::span(bytes_).first(static_cast<std::size_t>(address_bits(family_) / 8));
}

bool Address::bit(int index) const {
  return ((bytes_[static_cast<std::size_t>(index / 8)] >> (7 - index % 8)) & 1) != 0;
}

std::uint8_t Address::nibble(int index) const {
  const std::uint8_t byte = bytes_[static_cast<std::size_t>(index / 2)];
  return static_cast<std::uint8_t>(index % 2 == 0 ? byte >> 4 : byte & 0xf);
}

bool Address::is_unspecified() const {
  return std::ranges::all_of(bytes_, [](std::uint8_t b) { return b == 0; });
}

bool Address::is_loopback() const {
  if (family_ == Family::kIpv4) return bytes_[0] == 127;
  return bytes_[15] == 1 &&
         std::all_of(bytes_.begin(), bytes_.end() - 1, [](std::uint8_t b) { return b == 0; });
}

bool Address::is_multicast() const {
  return family_ == Family::kIpv4 ? (bytes_[0] & 0xf0) == 0xe0 : bytes_[0] == 0xff;
}

bool Address::is_link_local() const {
  if (family_ == Family::kIpv4) return bytes_[0] == 169 && bytes_[1] == 254;
  return bytes_[0] == 0xfe && (bytes_[1] & 0xc0) == 0x80;
}

std::string to_string(const Address& address) {
  const auto bytes = address.bytes();
  if (address.family() == Family::kIpv4) return dotted(bytes);
  const auto [gap_begin, gap_end] = longest_zero_run(bytes);
  // Embedded IPv4 in the form of inet_ntop, which iptables uses (RFC 5952, 5).
  const bool mixed =
      gap_begin == 0 && (gap_end == 6 || (gap_end == 5 && bytes[10] == 0xff && bytes[11] == 0xff));
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (int group = 0; group < 8; ++group) {
    if (group == gap_begin) {
      text += "::";
      group = gap_end - 1;
      continue;
    }
    if (!text.empty() && text.back() != ':') text += ':';
    if (mixed && group == 6) return text + dotted(bytes.subspan(12));
    bool started = false;
    for (int digit = 0; digit < 4; ++digit) {
      const std::uint8_t value = address.nibble(group * 4 + digit);
      started = started || value != 0 || digit == 3;
      if (started) text += kDigits[value];
    }
  }
  return text;
}

Prefix::Prefix(const Address& address, int length)
    : address_(address),
      length_(static_cast<std::uint8_t>(std::clamp(length, 0, address_bits(address.family())))) {
  const auto begin = static_cast<std::size_t>(length_ / 8);
  if (begin == address.bytes().size()) return;
  std::array<std::uint8_t, 16> bytes{};
  std::ranges::copy(address.bytes().first(begin + 1), bytes.begin());
  bytes[begin] = static_cast<std::uint8_t>(bytes[begin] & ~(0xff >> length_ % 8));
  address_ = Address(address.family(), bytes);
}

Prefix Prefix::host(const Address& address) {
  return {address, address_bits(address.family())};
}

std::optional<Prefix> Prefix::parse(std::string_view text) {
  return parse_prefix(text, Zeros::kRefused);
}

std::optional<Prefix> Prefix::parse_sloppy(std::string_view text) {
  const auto prefix = parse_prefix(text, Zeros::kAllowed);
  if (!prefix || prefix->family() == Family::kIpv4 || !is_mapped(prefix->address().bytes())) {
    return prefix;
  }
  return std::nullopt;
}

bool Prefix::contains(const Address& address) const {
  return address.family() == family() && Prefix(address, length_).address_ == address_;
}

bool Prefix::contains(const Prefix& other) const {
  return other.length_ >= length_ && contains(other.address_);
}

Address Prefix::last() const {
  std::array<std::uint8_t, 16> bytes{};
  const auto first = address_.bytes();
  const Address ones = mask();
  for (std::size_t i = 0; i < first.size(); ++i) {
    bytes[i] = static_cast<std::uint8_t>(first[i] | ~ones.bytes()[i]);
  }
  return {family(), std::span(bytes).first(first.size())};
}

std::optional<int> Prefix::length_of(const Address& mask) {
  int length = 0;
  for (const std::uint8_t byte : mask.bytes()) length += std::countl_one(byte);
  return Prefix(mask, length).mask() == mask ? std::optional(length) : std::nullopt;
}

Address Prefix::mask() const {
  std::array<std::uint8_t, 16> ones;
  ones.fill(0xff);
  return Prefix(Address(family(), ones), length_).address();
}

std::optional<Prefix> intersect(const Prefix& a, const Prefix& b) {
  if (a.contains(b)) return b;
  if (b.contains(a)) return a;
  return std::nullopt;
}

std::string to_string(const Prefix& prefix) {
  return to_string(prefix.address()) + '/' + std::to_string(prefix.length());
}

}  // namespace nmanager
