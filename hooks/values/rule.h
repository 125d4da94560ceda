// One of our rules as a typed value. The fields can express exactly the rules that this program
// writes: any other rule belongs to another program.
#pragma once

#include <boost/container/static_vector.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "hooks/values/address.h"
#include "hooks/values/table.h"

namespace nmanager {

/// IANA protocol number; kAny means no -p.
enum class Protocol : std::uint8_t { kAny = 0, kTcp = 6, kUdp = 17, kSctp = 132 };

[[nodiscard]] std::string_view to_string(Protocol protocol);  // "tcp", "udp", "sctp", "all"

/// first <= last, both 1..65535, inclusive.
struct PortRange {
  std::uint16_t first = 0;
  std::uint16_t last = 0;
  auto operator<=>(const PortRange&) const = default;
};

/// The limit of one rule: `-m multiport` has 15 slots, a range takes two (xt_multiport.h).
inline constexpr std::size_t kPortSlots = 15;
using PortSet = boost::container::static_vector<PortRange, kPortSlots>;

/// Slots of a multiport match that `range` takes: 1 or 2.
[[nodiscard]] constexpr std::size_t port_slots(const PortRange& range) {
  return range.first == range.last ? 1 : 2;
}

/// Bits of TCP's flags (RFC 9293, 3.1): those in `mask` have to be as in `value`. mask 0: any.
struct TcpFlags {
  std::uint8_t mask = 0;
  std::uint8_t value = 0;
  auto operator<=>(const TcpFlags&) const = default;
};
inline constexpr std::uint8_t kTcpSyn = 0x02;
inline constexpr std::uint8_t kTcpRst = 0x04;
inline constexpr std::uint8_t kTcpAck = 0x10;

struct Drop {
  auto operator<=>(const Drop&) const = default;
};
struct Return {
  auto operator<=>(const Return&) const = default;
};
/// -j CHAIN, or -g CHAIN when `go_to`.
struct Jump {
  ChainName chain;
  bool go_to = false;
  auto operator<=>(const Jump&) const = default;
};
/// -j DNAT --to-destination ADDRESS; the port is unchanged.
struct Dnat {
  Address to;
  auto operator<=>(const Dnat&) const = default;
};
/// -j MARK --set-xmark VALUE/MASK.
struct SetMark {
  std::uint32_t value = 0;
  std::uint32_t mask = 0;
  auto operator<=>(const SetMark&) const = default;
};
using Target = std::variant<Drop, Return, Jump, Dnat, SetMark>;

/// Matches are written in this order, which is also the order of the text form (rule_text.h):
/// -s -d -i -p, addrtype, conntrack, tcp/udp/multiport, comment, target.
struct Rule {
  std::optional<Prefix> source;       // never a /0: use nullopt
  std::optional<Prefix> destination;  // never a /0
  std::string in_interface;  // -i, empty: any; a trailing '+' is a wildcard; at most 15 chars
  Protocol protocol = Protocol::kAny;
  bool source_is_local = false;  // -m addrtype --src-type LOCAL
  bool state_invalid = false;    // -m conntrack --ctstate INVALID
  // One single port or one range with tcp/udp: `-m tcp --dport`; more, or sctp: `-m multiport
  // --dports`. Sorted, disjoint, at most kPortSlots slots. Empty: any port. Needs a protocol.
  PortSet destination_ports;
  TcpFlags tcp_flags;   // `-m tcp --tcp-flags`; needs protocol TCP and no ports
  std::string comment;  // -m comment, empty: none; at most 255 bytes
  Target target;

  bool operator==(const Rule&) const = default;
};

/// True for a jump or goto without any match.
[[nodiscard]] bool is_plain(const Rule& rule);

/// Order-sensitive 64-bit hash of every field; equal rules have equal hashes, on every run and on
/// machines of the same byte order.
[[nodiscard]] std::uint64_t hash_of(const Rule& rule);

}  // namespace nmanager
