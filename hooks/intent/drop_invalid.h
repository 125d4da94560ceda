// The rule family "INVALID packets": packets that conntrack cannot assign to a connection are
// dropped, or only counted, in a hook of filter. Common to every backend. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "hooks/values/address.h"
#include "hooks/values/rule.h"
#include "hooks/values/table.h"

namespace nmanager {

/// Packets that are exempt from the rules. Prefixes of both families, never a /0.
struct Exemptions {
  std::vector<std::string> interfaces;  // a trailing '+' is a wildcard
  std::vector<Prefix> sources;
  std::vector<Prefix> destinations;
};

enum class InvalidAction : std::uint8_t {
  kDrop,
  kCount,  // the same chains and counters, but nothing is dropped
  kLeave,  // not decided yet: existing rules of this family stay as they are
};

/// In one hook of filter. Created by the two functions below.
struct DropInvalid {
  Hook hook = Hook::kInput;
  InvalidAction action = InvalidAction::kDrop;
  std::optional<Prefix> source;  // only packets from there; never a /0
  bool spares_syn_ack = false;
  Exemptions exempt;
};

/// Problem 1: replies that the node would answer itself.
[[nodiscard]] DropInvalid drop_invalid_input(InvalidAction action, Exemptions exempt);

/// Problem 3: packets of pods that would leave the node untranslated. A SYN-ACK is exempt: a flow
/// of which this node sees only the replies begins with one, and conntrack marks it INVALID
/// (tcp_conntracks[ORIGINAL][SYN-ACK][NONE] in nf_conntrack_proto_tcp.c).
[[nodiscard]] DropInvalid drop_invalid_forward(InvalidAction action, const Prefix& pods,
                                               Exemptions exempt);

/// The chain with the rules. FORWARD is shortened: iptables takes names of 28 characters.
[[nodiscard]] ChainName drop_chain(Hook hook);

/// One rule of that chain, which only INVALID packets from `source` reach.
struct InvalidRule {
  std::string in_interface;
  std::optional<Prefix> source;
  std::optional<Prefix> destination;
  TcpFlags tcp_flags;   // with a mask: only TCP
  bool counts = false;  // its packets are reported; else it is an exemption
  std::variant<Drop, Return> verdict;
};
/// In order. Not for kLeave.
[[nodiscard]] std::vector<InvalidRule> rules_of(Family family, const DropInvalid& drop);

/// The counter of one kind of INVALID packets.
struct InvalidCounter {
  Hook hook = Hook::kInput;
  bool dropped = true;  // else counted only
  /// TCP without RST: a host that does not know the connection answers it with RST (RFC 9293,
  /// 3.5.2). A RST or a packet of another protocol is never answered with RST. INPUT has one rule
  /// for all kinds: there it is true, without meaning.
  bool may_reset = false;
  auto operator<=>(const InvalidCounter&) const = default;
};
using InvalidCounts = std::map<InvalidCounter, std::uint64_t>;  // packets
[[nodiscard]] std::uint64_t packets_of(const InvalidCounts& counts, const InvalidCounter& counter);

/// The kind of packets that a rule of that chain counts; nullopt: not a drop chain.
[[nodiscard]] std::optional<InvalidCounter> counter_of(std::string_view chain, bool drops,
                                                       const TcpFlags& flags);

}  // namespace nmanager
