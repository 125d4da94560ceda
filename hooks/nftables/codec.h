// Rules, sets and elements as nf_tables messages, and back.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "hooks/netlink/handles.h"
#include "hooks/netlink/message.h"
#include "hooks/nftables/plan.h"
#include "hooks/nftables/ruleset.h"

namespace nmanager::nftables {

/// A comment in nft's format, in the user data of a table, rule or element: type 0, length, text
/// with its terminating zero (libnftnl/udata.h: NFTNL_UDATA_*_COMMENT are all 0).
[[nodiscard]] std::vector<std::uint8_t> comment_data(std::string_view text);
/// Empty: no comment.
[[nodiscard]] std::string comment_of(std::span<const std::uint8_t> user_data);

/// The expressions of `rule` and its comment; the caller sets table, chain and position.
[[nodiscard]] netlink::NftnlPtr<nftnl_rule> encode(const NativeRule& rule);

/// The expressions as libnftnl prints them, with counters at zero: equal for the result of encode()
/// and for the kernel's dump of it.
[[nodiscard]] std::string print_expressions(nftnl_rule& rule);

/// A dumped rule, not decoded yet.
struct DumpedRule {
  RuleRef ref = 0;
  std::optional<TableId> part;  // from its comment
  std::string expressions;      // print_expressions()
  bool counts = false;
  std::uint64_t packets = 0;
};
[[nodiscard]] DumpedRule read_rule(const nlmsghdr& message);

/// The properties of a set; equal for a created set and for the kernel's dump of it.
struct SetShape {
  std::uint32_t flags = 0;  // NFT_SET_*
  std::uint32_t key_type = 0;
  std::uint32_t key_size = 0;  // bytes
  std::uint32_t data_type = 0;
  std::uint32_t data_size = 0;
  bool operator==(const SetShape&) const = default;
};
[[nodiscard]] SetShape shape_of(const SetId& id);
[[nodiscard]] SetShape read_shape(const netlink::Attributes& set);
/// The attributes of NFT_MSG_NEWSET except table and name. `number`: unique in its batch.
void put_shape(netlink::Message& message, const SetId& id, std::uint32_t number);

/// One element of NFTA_SET_ELEM_LIST_ELEMENTS.
void put_element(netlink::Message& message, const SetId& id, const Element& element);
/// nullopt: an element that no Element of this set can express, or that has a timeout.
[[nodiscard]] std::optional<Element> read_element(const SetId& id, const nlattr& element);

}  // namespace nmanager::nftables
