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

/// A comment as nft shows it, in the user data of a table, rule or element: type 0, length, text
/// with its terminating zero (libnftnl/udata.h: NFTNL_UDATA_*_COMMENT are all 0).
[[nodiscard]] std::vector<std::uint8_t> comment_data(std::string_view text);
/// Empty: there is none.
[[nodiscard]] std::string comment_of(std::span<const std::uint8_t> user_data);

/// The expressions of `rule` and its comment; table, chain and place are the caller's to set.
[[nodiscard]] netlink::NftnlPtr<nftnl_rule> encode(const NativeRule& rule);

/// What a rule does, as libnftnl prints it, counters at zero: equal for what encode() makes and for
/// what the kernel dumps of it.
[[nodiscard]] std::string print_expressions(nftnl_rule& rule);

/// A rule as dumped, its meaning not yet known.
struct DumpedRule {
  RuleRef ref = 0;
  std::optional<TableId> part;  // as its comment says
  std::string expressions;      // print_expressions()
  bool counts = false;
  std::uint64_t packets = 0;
};
[[nodiscard]] DumpedRule read_rule(const nlmsghdr& message);

/// What a set has to be like; equal for what is made and for what the kernel dumps of it.
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
/// The attributes of NFT_MSG_NEWSET besides table and name. `number`: any, unique in its batch.
void put_shape(netlink::Message& message, const SetId& id, std::uint32_t number);

/// One element of NFTA_SET_ELEM_LIST_ELEMENTS.
void put_element(netlink::Message& message, const SetId& id, const Element& element);
/// Nothing: one that no Element of this set can say, or that times out.
[[nodiscard]] std::optional<Element> read_element(const SetId& id, const nlattr& element);

}  // namespace nmanager::nftables
