// The values that `table inet nmanager` is made of. Pure.
//
// One table of family inet: the INVALID drop is the same rule for both families, and nat chains of
// family inet exist since Linux 5.2, long before what kube-proxy's nftables mode asks for (5.13).
//
// Each rule and set belongs to one part, named as the tables of iptables are (TableId): "IPv4
// filter" drops INVALID IPv4 packets, "IPv6 nat" translates external IPv6 addresses. Parts are
// wanted, left alone and reported one by one; the comment of a rule names its part.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "hooks/intent/table_spec.h"
#include "hooks/values/address.h"
#include "hooks/values/rule.h"
#include "hooks/values/table.h"

namespace nmanager::nftables {

inline constexpr std::string_view kTableName = "nmanager";

/// The table's comment. By its first part a table is known as ours, by the whole as one of this
/// layout; a table of the name without it is a stranger's, and is not touched.
inline constexpr std::string_view kOwner = "kept by nmanager";
inline constexpr std::string_view kTableComment = "kept by nmanager, layout 1";

/// What the sets of one part hold.
enum class SetKind : std::uint8_t {
  kExternal,    // set: what everybody may use
  kRestricted,  // set: what only certain sources may use, each with its source
  kCluster,     // map: all of it, to the cluster address
};

/// A set or map: its name tells all of this.
struct SetId {
  Family family = Family::kIpv4;
  SetKind kind = SetKind::kExternal;
  MatchBy by = MatchBy::kPort;  // kAddress: the key has no protocol and port
  auto operator<=>(const SetId&) const = default;
};
[[nodiscard]] std::string name_of(const SetId& id);  // "external_ipv4", "cluster_address_ipv6"
[[nodiscard]] std::optional<SetId> set_of(std::string_view name);
[[nodiscard]] TableId part_of(const SetId& id);

/// One element. Fields that its set has no use for keep their defaults.
struct Element {
  Address external;
  Protocol protocol = Protocol::kAny;
  std::uint16_t port = 0;
  Prefix source;      // kRestricted
  Address to;         // kCluster
  std::string owner;  // kCluster: "namespace/name", the element's comment
  auto operator<=>(const Element&) const = default;
};
using Elements = std::vector<Element>;  // sorted, no key twice
/// Shared by who wants them and who knows that they stand: the same object needs no comparing.
using SharedElements = std::shared_ptr<const Elements>;

/// The packet is translated to what the map says.
struct Translate {
  SetId map;
  auto operator<=>(const Translate&) const = default;
};
using Verdict = std::variant<Drop, Return, Jump, Translate>;

/// Matches are tried in this order; the family of `part` comes before them.
struct NativeRule {
  TableId part;
  std::string in_interface;           // empty: any; a trailing '+' is a wildcard
  std::optional<Prefix> source;       // never a /0
  std::optional<Prefix> destination;  // never a /0
  bool state_invalid = false;
  TcpFlags tcp_flags;            // with a mask: only TCP
  std::optional<SetId> among;    // the packet's destination (and source) are in the set
  bool source_is_local = false;  // an address of this node
  std::optional<SetMark> mark;   // set before the verdict
  bool counts = false;           // its packets are counted
  Verdict verdict;

  bool operator==(const NativeRule&) const = default;
};
/// Equal rules hash equal.
[[nodiscard]] std::uint64_t hash_of(const NativeRule& rule);

/// What the chain of that name hooks into; nothing: it is only jumped to.
[[nodiscard]] std::optional<BaseChain> base_of(std::string_view chain);

/// One part, or several put together.
struct Ruleset {
  std::map<ChainName, std::vector<NativeRule>> chains;
  std::map<SetId, SharedElements> sets;  // never null
  // Not decided yet: the part's rules that are there stay as they are.
  std::set<ChainName> left_chains;
};

/// What `rule` of `chain` counts; nothing: no INVALID packets.
[[nodiscard]] std::optional<InvalidCounter> counter_of(std::string_view chain,
                                                       const NativeRule& rule);

/// What `spec` means for that part.
[[nodiscard]] Ruleset render(TableId part, const TableSpec& spec);
/// The same, with sets that hold nothing.
[[nodiscard]] Ruleset render_frame(TableId part, const TableSpec& spec);

/// What the set holds for all external addresses, or for these (sorted); nothing when `spec` is no
/// ExternalCluster that has such a set.
[[nodiscard]] Elements elements_of(const SetId& id, const TableSpec& spec);
[[nodiscard]] Elements elements_of(const SetId& id, const TableSpec& spec,
                                   std::span<const Address> addresses);
/// How many elements of all sets stand for one external address.
[[nodiscard]] std::size_t count_elements(std::span<const ExternalAddress> entries, MatchBy match);

/// Rules and elements.
[[nodiscard]] std::size_t size_of(const Ruleset& ruleset);

}  // namespace nmanager::nftables
