#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nf_tables_compat.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "hooks/iptables_nft/codec.h"
#include "hooks/netlink/fields.h"
#include "hooks/netlink/message.h"
#include "hooks/netlink/packet.h"
#include "hooks/xt/payload.h"

namespace nmanager::iptables_nft {

namespace {

using Data = std::span<const std::uint8_t>;

/// Iterates over the expressions front to back. Each take_*() consumes an expression if it is the
/// requested one, with the attributes that the kernel dumps for ours and no other.
class Cursor {
 public:
  explicit Cursor(const nlattr& list) : list_(list), element_(list_.first()) { read(); }

  [[nodiscard]] bool at_end() const { return element_ == nullptr; }
  [[nodiscard]] bool is(std::string_view name) const { return name_ == name; }
  void step() {
    element_ = list_.next(element_);
    read();
  }

  bool take_meta(std::uint32_t key) {
    if (!is("meta") || !data_.are({NFTA_META_DREG, NFTA_META_KEY}) ||
        data_.be32(NFTA_META_KEY) != key || data_.be32(NFTA_META_DREG) != NFT_REG_1) {
      return false;
    }
    step();
    return true;
  }

  /// The bytes that register 1 is compared with; the view is valid as long as the message.
  std::optional<Data> take_equal() {
    if (!is("cmp") || !data_.are({NFTA_CMP_SREG, NFTA_CMP_OP, NFTA_CMP_DATA}) ||
        data_.be32(NFTA_CMP_SREG) != NFT_REG_1 || data_.be32(NFTA_CMP_OP) != NFT_CMP_EQ) {
      return std::nullopt;
    }
    const auto bytes = value(NFTA_CMP_DATA);
    if (bytes) step();
    return bytes;
  }

  /// The number of bytes loaded into register 1.
  std::optional<std::uint32_t> take_payload(std::uint32_t base, std::uint32_t offset) {
    if (!is("payload") ||
        !data_.are({NFTA_PAYLOAD_DREG, NFTA_PAYLOAD_BASE, NFTA_PAYLOAD_OFFSET, NFTA_PAYLOAD_LEN}) ||
        data_.be32(NFTA_PAYLOAD_DREG) != NFT_REG_1 || data_.be32(NFTA_PAYLOAD_BASE) != base ||
        data_.be32(NFTA_PAYLOAD_OFFSET) != offset) {
      return std::nullopt;
    }
    const auto size = data_.be32(NFTA_PAYLOAD_LEN);
    if (size) step();
    return size;
  }

  /// The mask that is applied to register 1. Linux 5.6 began to dump the operation.
  std::optional<Data> take_mask() {
    if (!is("bitwise") ||
        !data_.are({NFTA_BITWISE_SREG, NFTA_BITWISE_DREG, NFTA_BITWISE_LEN, NFTA_BITWISE_MASK,
                    NFTA_BITWISE_XOR},
                   {NFTA_BITWISE_OP}) ||
        data_.be32(NFTA_BITWISE_SREG) != NFT_REG_1 || data_.be32(NFTA_BITWISE_DREG) != NFT_REG_1 ||
        (data_.has(NFTA_BITWISE_OP) && data_.be32(NFTA_BITWISE_OP) != NFT_BITWISE_BOOL)) {
      return std::nullopt;
    }
    const auto mask = value(NFTA_BITWISE_MASK);
    const auto flip = value(NFTA_BITWISE_XOR);
    if (!mask || !flip || data_.be32(NFTA_BITWISE_LEN) != mask->size() ||
        flip->size() != mask->size() ||
        !std::ranges::all_of(*flip, [](std::uint8_t byte) { return byte == 0; })) {
      return std::nullopt;
    }
    step();
    return mask;
  }

  /// The bounds of the range in which register 1 has to be.
  std::optional<std::pair<Data, Data>> take_range() {
    if (!is("range") ||
        !data_.are({NFTA_RANGE_SREG, NFTA_RANGE_OP, NFTA_RANGE_FROM_DATA, NFTA_RANGE_TO_DATA}) ||
        data_.be32(NFTA_RANGE_SREG) != NFT_REG_1 || data_.be32(NFTA_RANGE_OP) != NFT_RANGE_EQ) {
      return std::nullopt;
    }
    const auto first = value(NFTA_RANGE_FROM_DATA);
    const auto last = value(NFTA_RANGE_TO_DATA);
    if (!first || !last) return std::nullopt;
    step();
    return std::pair(*first, *last);
  }

  /// The payload of a match or target, whose attributes have the same numbers.
  std::optional<Data> take_extension(const xt::Extension& extension) {
    static_assert(int{NFTA_MATCH_NAME} == int{NFTA_TARGET_NAME} &&
                  int{NFTA_MATCH_REV} == int{NFTA_TARGET_REV} &&
                  int{NFTA_MATCH_INFO} == int{NFTA_TARGET_INFO});
    if (!is(extension.is_target ? "target" : "match") ||
        !data_.are({NFTA_MATCH_NAME, NFTA_MATCH_REV, NFTA_MATCH_INFO}) ||
        data_.text(NFTA_MATCH_NAME) != extension.name ||
        data_.be32(NFTA_MATCH_REV) != extension.revision) {
      return std::nullopt;
    }
    const Data info = data_.bytes(NFTA_MATCH_INFO);
    step();
    return info;
  }

  /// Its packets.
  std::optional<std::uint64_t> take_counter() {
    if (!is("counter") ||
        !data_.are({NFTA_COUNTER_BYTES, NFTA_COUNTER_PACKETS}, {NFTA_COUNTER_PAD})) {
      return std::nullopt;
    }
    const auto packets = data_.be64(NFTA_COUNTER_PACKETS);
    if (packets) step();
    return packets;
  }

  struct Verdict {
    int code = 0;            // NF_* or NFT_*
    std::string_view chain;  // of a jump
  };
  std::optional<Verdict> take_verdict() {
    if (!is("immediate") || !data_.are({NFTA_IMMEDIATE_DREG, NFTA_IMMEDIATE_DATA}) ||
        data_.be32(NFTA_IMMEDIATE_DREG) != NFT_REG_VERDICT) {
      return std::nullopt;
    }
    const netlink::Fields data = data_.nest(NFTA_IMMEDIATE_DATA);
    const netlink::Fields verdict = data.nest(NFTA_DATA_VERDICT);
    const auto code = verdict.be32(NFTA_VERDICT_CODE);
    if (!data.are({NFTA_DATA_VERDICT}) || !code ||
        !verdict.are({NFTA_VERDICT_CODE}, {NFTA_VERDICT_CHAIN})) {
      return std::nullopt;
    }
    const Verdict result{static_cast<int>(*code), verdict.text(NFTA_VERDICT_CHAIN)};
    const bool leads_on = result.code == NFT_JUMP || result.code == NFT_GOTO;
    if (leads_on == result.chain.empty()) return std::nullopt;
    step();
    return result;
  }

 private:
  /// An expression that cannot be read has no name.
  void read() {
    name_ = {};
    if (element_ == nullptr || mnl_attr_get_type(element_) != NFTA_LIST_ELEM) return;
    const netlink::Fields expression{netlink::Attributes(*element_)};
    if (!expression.are({NFTA_EXPR_NAME, NFTA_EXPR_DATA})) return;
    name_ = expression.text(NFTA_EXPR_NAME);
    data_ = expression.nest(NFTA_EXPR_DATA);
  }

  [[nodiscard]] std::optional<Data> value(int type) const {
    const netlink::Fields data = data_.nest(type);
    if (!data.are({NFTA_DATA_VALUE})) return std::nullopt;
    return data.bytes(NFTA_DATA_VALUE);
  }

  netlink::Attributes list_;
  const nlattr* element_;
  std::string_view name_;
  netlink::Fields data_;
};

/// Reads the parts in the order in which encode_rule() writes them; false: not one of our rules.
class Decoder {
 public:
  Decoder(Family family, const nlattr& list) : family_(family), at_(list) {}

  bool decode() {
    return in_interface() && protocol() && prefix(rule_.source, netlink::source_offset(family_)) &&
           prefix(rule_.destination, netlink::destination_offset(family_)) && addrtype() &&
           conntrack() && ports() && tcp_flags() && comment() && counter() && target() &&
           at_.at_end();
  }

  [[nodiscard]] Rule take_rule() { return std::move(rule_); }
  [[nodiscard]] std::uint64_t packets() const { return packets_; }

 private:
  bool in_interface() {
    if (!at_.take_meta(NFT_META_IIFNAME)) return true;
    const auto name = at_.take_equal();
    if (!name) {
      rule_.in_interface = "+";
      return true;
    }
    rule_.in_interface.assign(reinterpret_cast<const char*>(name->data()), name->size());
    std::string& text = rule_.in_interface;
    const bool whole = !text.empty() && text.back() == '\0';
    if (whole) {
      text.pop_back();
    } else {
      text += '+';
    }
    return text.size() > 1U - unsigned{whole} && text.size() <= 15 &&
           text.find('\0') == std::string::npos && (!whole || text.back() != '+');
  }

  bool protocol() {
    if (!at_.take_meta(NFT_META_L4PROTO)) return true;
    const auto number = at_.take_equal();
    if (!number || number->size() != 1) return false;
    rule_.protocol = static_cast<Protocol>(number->front());
    return rule_.protocol == Protocol::kTcp || rule_.protocol == Protocol::kUdp ||
           rule_.protocol == Protocol::kSctp;
  }

  bool prefix(std::optional<Prefix>& into, std::uint32_t offset) {
    const auto size = at_.take_payload(NFT_PAYLOAD_NETWORK_HEADER, offset);
    if (!size) return true;
    const auto whole = static_cast<std::size_t>(address_bits(family_)) / 8;
    std::size_t length = std::size_t{*size} * 8;
    if (at_.is("bitwise")) {
      const auto mask = at_.take_mask();
      if (!mask || mask->size() != whole || *size != whole) return false;
      const auto bits = Prefix::length_of(Address(family_, *mask));
      if (!bits || *bits % 8 == 0) return false;
      length = static_cast<std::size_t>(*bits);
    }
    const auto value = at_.take_equal();
    if (!value || value->size() != *size || *size == 0 || *size > whole) return false;
    std::array<std::uint8_t, 16> bytes{};
    std::copy(value->begin(), value->end(), bytes.begin());
    const Address address(family_, std::span(bytes).first(whole));
    into = Prefix(address, static_cast<int>(length));
    return into->address() == address;
  }

  bool addrtype() {
    const auto info = at_.take_extension(xt::kAddrtype);
    if (!info) return true;
    rule_.source_is_local = true;
    return std::ranges::equal(*info, xt::source_is_local());
  }

  bool conntrack() {
    const auto info = at_.take_extension(xt::kConntrack);
    if (!info) return true;
    rule_.state_invalid = true;
    return std::ranges::equal(*info, xt::state_invalid());
  }

  bool ports() {
    if (const auto info = at_.take_extension(xt::kMultiport)) {
      const auto ports = xt::read_destination_ports(*info);
      if (!ports) return false;
      rule_.destination_ports = *ports;
      return rule_.protocol != Protocol::kAny && xt::uses_multiport(rule_);
    }
    const auto size =
        at_.take_payload(NFT_PAYLOAD_TRANSPORT_HEADER, netlink::kDestinationPortOffset);
    if (!size) return true;
    const auto range = port_range();
    if (!range || *size != sizeof(std::uint16_t)) return false;
    rule_.destination_ports.push_back(*range);
    return rule_.protocol != Protocol::kAny && !xt::uses_multiport(rule_);
  }

  std::optional<PortRange> port_range() {
    if (const auto value = at_.take_equal()) {
      const auto port = port_of(*value);
      if (!port) return std::nullopt;
      return PortRange{*port, *port};
    }
    const auto range = at_.take_range();
    if (!range) return std::nullopt;
    const auto first = port_of(range->first);
    const auto last = port_of(range->second);
    if (!first || !last || *first >= *last) return std::nullopt;
    return PortRange{*first, *last};
  }

  bool tcp_flags() {
    const auto size = at_.take_payload(NFT_PAYLOAD_TRANSPORT_HEADER, netlink::kTcpFlagsOffset);
    if (!size) return true;
    const auto mask = at_.take_mask();
    const auto value = mask ? at_.take_equal() : std::nullopt;
    if (!value || *size != 1 || mask->size() != 1 || value->size() != 1) return false;
    rule_.tcp_flags = {mask->front(), value->front()};
    return rule_.protocol == Protocol::kTcp && rule_.destination_ports.empty() &&
           rule_.tcp_flags.mask != 0;
  }

  static std::optional<std::uint16_t> port_of(Data bytes) {
    std::uint16_t port = 0;
    if (bytes.size() != sizeof port) return std::nullopt;
    std::memcpy(&port, bytes.data(), sizeof port);
    return ntohs(port);
  }

  bool comment() {
    const auto info = at_.take_extension(xt::kComment);
    if (!info) return true;
    auto text = xt::read_comment(*info);
    if (!text) return false;
    rule_.comment = std::move(*text);
    return true;
  }

  bool counter() {
    const auto packets = at_.take_counter();
    packets_ = packets.value_or(0);
    return packets.has_value();
  }

  bool target() {
    if (const auto verdict = at_.take_verdict()) return take(*verdict);
    if (const auto info = at_.take_extension(xt::kDnat)) {
      const auto to = xt::read_dnat(family_, *info);
      if (to) rule_.target = Dnat{*to};
      return to.has_value();
    }
    const auto info = at_.take_extension(xt::kMark);
    const auto mark = info ? xt::read_set_mark(*info) : std::nullopt;
    if (mark) rule_.target = *mark;
    return mark.has_value();
  }

  bool take(const Cursor::Verdict& verdict) {
    const auto& [code, chain] = verdict;
    switch (code) {
      case NF_DROP:
        rule_.target = Drop{};
        return true;
      case NFT_RETURN:
        rule_.target = Return{};
        return true;
      case NFT_JUMP:
      case NFT_GOTO:
        if (chain.size() > ChainName::kMaxLength) return false;
        rule_.target = Jump{ChainName(chain), code == NFT_GOTO};
        return true;
      default:
        return false;
    }
  }

  Family family_;
  Cursor at_;
  Rule rule_;
  std::uint64_t packets_ = 0;
};

}  // namespace

chains::ObservedRule decode_rule(Family family, const nlmsghdr& message) {
  const netlink::Attributes attributes(message);
  chains::ObservedRule observed;
  const netlink::Fields fields(attributes);
  const auto handle = fields.be64(NFTA_RULE_HANDLE);
  observed.ref = handle.value_or(0);
  // A rule with user data is not ours either: iptables-nft writes none for such rules, and nft
  // would show it as a comment.
  if (!handle ||
      !fields.are({NFTA_RULE_TABLE, NFTA_RULE_CHAIN, NFTA_RULE_HANDLE, NFTA_RULE_EXPRESSIONS},
                  {NFTA_RULE_POSITION, NFTA_RULE_PAD})) {
    return observed;
  }
  Decoder decoder(family, *attributes.find(NFTA_RULE_EXPRESSIONS));
  if (!decoder.decode()) return observed;
  observed.rule = decoder.take_rule();
  observed.packets = decoder.packets();
  return observed;
}

}  // namespace nmanager::iptables_nft
