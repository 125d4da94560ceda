// The rule family "INVALID packets": what conntrack cannot place is dropped, or only counted, in a
// hook of filter. Said once, for every backend. Pure.
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

/// Packets that the rules leave alone. Prefixes of both families, never a /0.
struct Exemptions {
  std::vector<std::string> interfaces;  // a trailing '+' is a wildcard
  std::vector<Prefix> sources;
  std::vector<Prefix> destinations;
};

enum class InvalidAction : std::uint8_t {
  kDrop,
  kCount,  // the same chains and counters, but nothing is dropped
  kLeave,  // not decided yet: what is there of this family stays as it is
};

/// In one hook of filter. Made by the two functions below.
struct DropInvalid {
  Hook hook = Hook::kInput;
  InvalidAction action = InvalidAction::kDrop;
  std::optional<Prefix> source;  // only packets from there; never a /0
  bool spares_syn_ack = false;
  Exemptions exempt;
};

/// Problem 1: replies that the node would answer itself.
[[nodiscard]] DropInvalid drop_invalid_input(InvalidAction action, Exemptions exempt);

/// Problem 3: packets of pods that would leave the node untranslated. A SYN-ACK is spared: a flow
/// of which this node sees only the replies begins with one, and conntrack calls it INVALID
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
  bool counts = false;  // its packets are told; else it is an exemption
  std::variant<Drop, Return> verdict;
};
/// In order. Not for kLeave.
[[nodiscard]] std::vector<InvalidRule> rules_of(Family family, const DropInvalid& drop);

/// What was done with INVALID packets of one kind.
struct InvalidCounter {
  Hook hook = Hook::kInput;
  bool dropped = true;  // else counted only
  /// TCP without RST: what a host that does not know the connection answers with RST (RFC 9293,
  /// 3.5.2). A RST or a packet of another protocol is never answered so. INPUT has one rule for all
  /// kinds: there it is true, and says nothing.
  bool may_reset = false;
  auto operator<=>(const InvalidCounter&) const = default;
};
using InvalidCounts = std::map<InvalidCounter, std::uint64_t>;  // packets
[[nodiscard]] std::uint64_t packets_of(const InvalidCounts& counts, const InvalidCounter& counter);

/// What a counting rule of that chain counts; nothing: it is no drop chain.
[[nodiscard]] std::optional<InvalidCounter> counter_of(std::string_view chain, bool drops,
                                                       const TcpFlags& flags);

}  // namespace nmanager
