// One nf_tables netlink request, built in place; and the parser of received messages.
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

/// NFPROTO_IPV4 or NFPROTO_IPV6, the nf_tables families that iptables-nft uses.
[[nodiscard]] std::uint8_t nf_family(Family family);

/// The type for Message of an IPCTNL_MSG_CT_*.
[[nodiscard]] int conntrack_message(int message);

[[nodiscard]] std::span<const std::uint8_t> payload_of(const nlattr& attribute);

/// A message of at most kRoom bytes: header, nfgenmsg, attributes. The size is not checked:
/// attributes beyond kRoom are written past the end of the buffer, so callers bound what they add.
/// The largest message is a rule with every match, below 2 KiB.
class Message {
 public:
  static constexpr std::size_t kRoom = 4096;

  /// `type` is an nf_tables message (NFT_MSG_*), or a message of another subsystem, which is in the
  /// high byte.
  Message(int type, std::uint8_t family, int flags);
  Message(const Message&) = delete;
  Message& operator=(const Message&) = delete;

  Message& text(int attribute, std::string_view value);  // with its terminating zero
  Message& be32(int attribute, std::uint32_t value);
  Message& be64(int attribute, std::uint64_t value);
  Message& bytes(int attribute, std::span<const std::uint8_t> value);

  /// Opens a nested attribute: attributes are added inside it until end().
  nlattr* begin(int attribute);
  void end(nlattr* nest);

  [[nodiscard]] nlmsghdr* header();

 private:
  alignas(8) std::array<char, kRoom> room_;  // not zeroed: libmnl zeroes what it pads
};

/// The message at the front of `bytes`; nullptr if it is not complete. libmnl's own check accepts a
/// length above 2 GiB, because it treats it as negative.
[[nodiscard]] const nlmsghdr* message_at(const char* bytes, std::size_t size);
/// The distance in bytes from the beginning of `message` to the next one.
[[nodiscard]] std::size_t stride(const nlmsghdr& message);

/// Calls `each` for every received message, in order. `bytes` must be aligned as nlmsghdr.
template <class Each>
void for_each_message(const char* bytes, std::size_t size, Each each) {
  while (const nlmsghdr* const message = message_at(bytes, size)) {
    each(*message);
    const std::size_t step = std::min(stride(*message), size);
    bytes += step;
    size -= step;
  }
}

/// The attributes of a received message, which must outlive this object. Lookup is linear: a
/// message has few attributes.
class Attributes {
 public:
  explicit Attributes(const nlmsghdr& message);  // those after nfgenmsg
  explicit Attributes(const nlattr& nest);

  [[nodiscard]] const nlattr* find(int type) const;     // nullptr if absent
  [[nodiscard]] std::string_view text(int type) const;  // empty if absent
  [[nodiscard]] std::uint32_t be32(int type) const;     // 0 if absent or too short
  [[nodiscard]] std::uint64_t be64(int type) const;     // likewise
  /// Empty if absent.
  [[nodiscard]] std::span<const std::uint8_t> bytes(int type) const;

  /// Calls `each` for every attribute, in order.
  template <class Each>
  void for_each(Each each) const {
    for (const nlattr* at = first_; at != nullptr; at = next(at)) each(*at);
  }
  /// nullptr: there is none, or no other.
  [[nodiscard]] const nlattr* first() const { return first_; }
  [[nodiscard]] const nlattr* next(const nlattr* at) const;

 private:
  [[nodiscard]] const nlattr* checked(const nlattr* at) const;

  const nlattr* first_ = nullptr;
  const char* end_ = nullptr;
};

}  // namespace nmanager::netlink
