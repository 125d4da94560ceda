// The content of `table inet nmanager` as values. Pure.
//
// One table of family inet: the INVALID drop is the same rule for both families, and nat chains of
// family inet exist since Linux 5.2; kube-proxy's nftables mode requires 5.13.
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

/// The table's comment. Its first part marks a table as ours, the whole text as one of this layout;
/// a table of this name without it is foreign and is not changed.
inline constexpr std::string_view kOwner = "kept by nmanager";
inline constexpr std::string_view kTableComment = "kept by nmanager, layout 1";

/// The kinds of sets of one part.
enum class SetKind : std::uint8_t {
  kExternal,    // set: addresses that every source may use
  kRestricted,  // set: addresses that only certain sources may use, with the source
  kCluster,     // map: from all of these to the cluster address
};

/// A set or map; its name contains all of this.
struct SetId {
  Family family = Family::kIpv4;
  SetKind kind = SetKind::kExternal;
  MatchBy by = MatchBy::kPort;  // kAddress: the key has no protocol and port
  auto operator<=>(const SetId&) const = default;
};
[[nodiscard]] std::string name_of(const SetId& id);  // "external_ipv4", "cluster_address_ipv6"
[[nodiscard]] std::optional<SetId> set_of(std::string_view name);
[[nodiscard]] TableId part_of(const SetId& id);

/// One element. Fields that its set does not use keep their defaults.
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
/// Shared between the wanted and the observed state: the same object needs no comparison.
using SharedElements = std::shared_ptr<const Elements>;

/// Translates the packet to the address in the map.
struct Translate {
  SetId map;
  auto operator<=>(const Translate&) const = default;
};
using Verdict = std::variant<Drop, Return, Jump, Translate>;

/// Matches are evaluated in this order, after the family of `part`.
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
/// Equal rules have equal hashes.
[[nodiscard]] std::uint64_t hash_of(const NativeRule& rule);

/// The hook of the chain of that name; nullopt: not a base chain.
[[nodiscard]] std::optional<BaseChain> base_of(std::string_view chain);

/// One part, or several combined.
struct Ruleset {
  std::map<ChainName, std::vector<NativeRule>> chains;
  std::map<SetId, SharedElements> sets;  // never null
  // Not decided yet: existing rules of the part stay as they are.
  std::set<ChainName> left_chains;
};

/// The kind of packets that `rule` of `chain` counts; nullopt: not INVALID packets.
[[nodiscard]] std::optional<InvalidCounter> counter_of(std::string_view chain,
                                                       const NativeRule& rule);

/// The ruleset of that part for `spec`.
[[nodiscard]] Ruleset render(TableId part, const TableSpec& spec);
/// The same, with sets that hold nothing.
[[nodiscard]] Ruleset render_frame(TableId part, const TableSpec& spec);

/// What the set holds for all external addresses, or for these (sorted); nothing when `spec` is no
/// ExternalCluster that has such a set.
[[nodiscard]] Elements elements_of(const SetId& id, const TableSpec& spec);
[[nodiscard]] Elements elements_of(const SetId& id, const TableSpec& spec,
                                   std::span<const Address> addresses);
/// Equal elements have equal hashes.
[[nodiscard]] std::uint64_t hash_of(const Element& element);
/// The hashes of the elements of one set for one external address, added up: in whatever order.
[[nodiscard]] std::uint64_t sum_of(const SetId& id, std::span<const ExternalAddress> entries);
/// How many elements of all sets stand for one external address.
[[nodiscard]] std::size_t count_elements(std::span<const ExternalAddress> entries, MatchBy match);

/// Rules and elements.
[[nodiscard]] std::size_t size_of(const Ruleset& ruleset);

}  // namespace nmanager::nftables
