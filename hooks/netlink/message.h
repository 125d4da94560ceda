// One nf_tables netlink request, built in place.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "hooks/values/address.h"

struct nlmsghdr;
struct nlattr;

namespace nmanager::netlink {

/// NFPROTO_IPV4 or NFPROTO_IPV6: the nf_tables families that iptables-nft uses.
[[nodiscard]] std::uint8_t nf_family(Family family);

[[nodiscard]] std::span<const std::uint8_t> payload_of(const nlattr& attribute);

/// A message of at most kRoom bytes: header, nfgenmsg, attributes. The largest one written is a
/// rule with every match, below 2 KiB.
class Message {
 public:
  static constexpr std::size_t kRoom = 4096;

  /// `type` is an nf_tables message (NFT_MSG_*), or any other with its subsystem in the high byte.
  Message(int type, std::uint8_t family, int flags);
  Message(const Message&) = delete;
  Message& operator=(const Message&) = delete;

  Message& text(int attribute, std::string_view value);  // with its terminating zero
  Message& be32(int attribute, std::uint32_t value);
  Message& be64(int attribute, std::uint64_t value);
  Message& bytes(int attribute, std::span<const std::uint8_t> value);

  /// Attributes that follow stand inside this one, until end().
  nlattr* begin(int attribute);
  void end(nlattr* nest);

  [[nodiscard]] nlmsghdr* header();

 private:
  alignas(8) std::array<char, kRoom> room_;  // not zeroed: libmnl zeroes what it pads
};

/// The message at the front of `bytes`; nullptr unless all of it is there. libmnl's own check takes
/// a length above 2 GiB for a small one.
[[nodiscard]] const nlmsghdr* message_at(const char* bytes, std::size_t size);
/// From its beginning to that of the next one.
[[nodiscard]] std::size_t stride(const nlmsghdr& message);

/// Calls `each` for every message in what was received, in order. `bytes` are aligned.
template <class Each>
void for_each_message(const char* bytes, std::size_t size, Each each) {
  while (const nlmsghdr* const message = message_at(bytes, size)) {
    each(*message);
    const std::size_t step = std::min(stride(*message), size);
    bytes += step;
    size -= step;
  }
}

/// The attributes of a received message, found one by one; a message has few.
class Attributes {
 public:
  explicit Attributes(const nlmsghdr& message);  // those behind nfgenmsg
  explicit Attributes(const nlattr& nest);

  [[nodiscard]] const nlattr* find(int type) const;  // nullptr: absent
  [[nodiscard]] std::string_view text(int type) const;
  [[nodiscard]] std::uint32_t be32(int type) const;  // 0 when absent or short
  [[nodiscard]] std::uint64_t be64(int type) const;
  /// Empty when absent.
  [[nodiscard]] std::span<const std::uint8_t> bytes(int type) const;

  /// Calls `each` for every attribute, in order.
  template <class Each>
  void for_each(Each each) const {
    for (const nlattr* at = first_; at != nullptr; at = next(at)) each(*at);
  }

 private:
  [[nodiscard]] const nlattr* next(const nlattr* at) const;
  [[nodiscard]] const nlattr* checked(const nlattr* at) const;

  const nlattr* first_ = nullptr;
  const char* end_ = nullptr;
};

}  // namespace nmanager::netlink
