#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>

#include "hooks/iptables_nft/codec.h"
#include "hooks/iptables_nft/policy.h"
#include "hooks/netlink/message.h"
#include "hooks/netlink/objects.h"
#include "hooks/netlink/packet.h"
#include "hooks/xt/payload.h"

namespace nmanager::iptables_nft {

namespace {

using Data = std::span<const std::uint8_t>;

/// Iterates over the expressions front to back. Each take_*() consumes an expression if it is the
/// requested one.
class Cursor {
 public:
  explicit Cursor(const nftnl_rule& rule) : walk_(nftnl_expr_iter_create(&rule)) { step(); }

  [[nodiscard]] bool at_end() const { return now_ == nullptr; }
  [[nodiscard]] bool is(std::string_view name) const {
    return now_ != nullptr && name == nftnl_expr_get_str(now_, NFTNL_EXPR_NAME);
  }
  [[nodiscard]] std::uint32_t u32(std::uint16_t attribute) const {
    return nftnl_expr_get_u32(now_, attribute);
  }
  [[nodiscard]] bool has(std::uint16_t attribute) const {
    return nftnl_expr_is_set(now_, attribute);
  }
  [[nodiscard]] std::string_view text(std::uint16_t attribute) const {
    const char* const value = has(attribute) ? nftnl_expr_get_str(now_, attribute) : nullptr;
    return value == nullptr ? std::string_view() : value;
  }
  [[nodiscard]] Data data(std::uint16_t attribute) const {
    std::uint32_t size = 0;
    const void* const bytes = has(attribute) ? nftnl_expr_get(now_, attribute, &size) : nullptr;
    if (bytes == nullptr) return {};
    return {static_cast<const std::uint8_t*>(bytes), size};
  }
  void step() { now_ = nftnl_expr_iter_next(walk_.get()); }

  bool take_meta(std::uint32_t key) {
    if (!is("meta") || has(NFTNL_EXPR_META_SREG) || u32(NFTNL_EXPR_META_KEY) != key ||
        u32(NFTNL_EXPR_META_DREG) != NFT_REG_1) {
      return false;
    }
    step();
    return true;
  }

  /// The bytes that register 1 is compared with; the view is valid as long as the rule.
  std::optional<Data> take_equal() {
    if (!is("cmp") || u32(NFTNL_EXPR_CMP_SREG) != NFT_REG_1 ||
        u32(NFTNL_EXPR_CMP_OP) != NFT_CMP_EQ) {
      return std::nullopt;
    }
    const Data bytes = data(NFTNL_EXPR_CMP_DATA);
    step();
    return bytes;
  }

  /// The number of bytes loaded into register 1.
  std::optional<std::uint32_t> take_payload(std::uint32_t base, std::uint32_t offset) {
    if (!is("payload") || has(NFTNL_EXPR_PAYLOAD_SREG) ||
        u32(NFTNL_EXPR_PAYLOAD_DREG) != NFT_REG_1 || u32(NFTNL_EXPR_PAYLOAD_BASE) != base ||
        u32(NFTNL_EXPR_PAYLOAD_OFFSET) != offset) {
      return std::nullopt;
    }
    const std::uint32_t size = u32(NFTNL_EXPR_PAYLOAD_LEN);
    step();
    return size;
  }

  /// The mask that is applied to register 1.
  std::optional<Data> take_mask() {
    if (!is("bitwise") || u32(NFTNL_EXPR_BITWISE_SREG) != NFT_REG_1 ||
        u32(NFTNL_EXPR_BITWISE_DREG) != NFT_REG_1 ||
        u32(NFTNL_EXPR_BITWISE_OP) != NFT_BITWISE_BOOL) {
      return std::nullopt;
    }
    const Data mask = data(NFTNL_EXPR_BITWISE_MASK);
    const Data flip = data(NFTNL_EXPR_BITWISE_XOR);
    if (u32(NFTNL_EXPR_BITWISE_LEN) != mask.size() || flip.size() != mask.size() ||
        !std::all_of(flip.begin(), flip.end(), [](std::uint8_t byte) { return byte == 0; })) {
      return std::nullopt;
    }
    step();
    return mask;
  }

  std::optional<Data> take_match(const xt::Extension& extension) {
    if (!is("match") || text(NFTNL_EXPR_MT_NAME) != extension.name ||
        u32(NFTNL_EXPR_MT_REV) != extension.revision) {
      return std::nullopt;
    }
    const Data info = data(NFTNL_EXPR_MT_INFO);
    step();
    return info;
  }

 private:
  netlink::NftnlPtr<nftnl_expr_iter> walk_;
  nftnl_expr* now_ = nullptr;
};

/// Reads the parts in the order in which encode_rule() writes them; false: not one of our rules.
class Decoder {
 public:
  Decoder(Family family, const nftnl_rule& rule) : family_(family), at_(rule) {}

  bool decode() {
    return in_interface() && protocol() && prefix(rule_.source, netlink::source_offset(family_)) &&
           prefix(rule_.destination, netlink::destination_offset(family_)) && addrtype() &&
           conntrack() && ports() && tcp_flags() && comment() && counter() && target() &&
           at_.at_end();
  }

  [[nodiscard]] Rule take_rule() { return std::move(rule_); }

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
      length = 0;
      for (const std::uint8_t byte : *mask) {
        length += static_cast<std::size_t>(std::countl_one(byte));
      }
      const Address all(family_, *mask);
      if (length % 8 == 0 || Prefix(all, static_cast<int>(length)).mask() != all) return false;
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
    const auto info = at_.take_match(xt::kAddrtype);
    if (!info) return true;
    rule_.source_is_local = true;
    return std::ranges::equal(*info, xt::source_is_local());
  }

  bool conntrack() {
    const auto info = at_.take_match(xt::kConntrack);
    if (!info) return true;
    rule_.state_invalid = true;
    return std::ranges::equal(*info, xt::state_invalid());
  }

  bool ports() {
    if (const auto info = at_.take_match(xt::kMultiport)) {
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
    if (!at_.is("range") || at_.u32(NFTNL_EXPR_RANGE_SREG) != NFT_REG_1 ||
        at_.u32(NFTNL_EXPR_RANGE_OP) != NFT_RANGE_EQ) {
      return std::nullopt;
    }
    const auto first = port_of(at_.data(NFTNL_EXPR_RANGE_FROM_DATA));
    const auto last = port_of(at_.data(NFTNL_EXPR_RANGE_TO_DATA));
    at_.step();
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
    const auto info = at_.take_match(xt::kComment);
    if (!info) return true;
    auto text = xt::read_comment(*info);
    if (!text) return false;
    rule_.comment = std::move(*text);
    return true;
  }

  bool counter() {
    if (!at_.is("counter")) return false;
    at_.step();
    return true;
  }

  bool target() {
    if (at_.is("immediate")) return verdict();
    if (!at_.is("target") || at_.u32(NFTNL_EXPR_TG_REV) != xt::kDnat.revision) return false;
    const std::string_view name = at_.text(NFTNL_EXPR_TG_NAME);
    const Data info = at_.data(NFTNL_EXPR_TG_INFO);
    at_.step();
    if (name == xt::kDnat.name) {
      const auto to = xt::read_dnat(family_, info);
      if (to) rule_.target = Dnat{*to};
      return to.has_value();
    }
    const auto mark = name == xt::kMark.name ? xt::read_set_mark(info) : std::nullopt;
    if (mark) rule_.target = *mark;
    return mark.has_value();
  }

  bool verdict() {
    if (at_.u32(NFTNL_EXPR_IMM_DREG) != NFT_REG_VERDICT || !at_.has(NFTNL_EXPR_IMM_VERDICT)) {
      return false;
    }
    const auto code = static_cast<int>(at_.u32(NFTNL_EXPR_IMM_VERDICT));
    const std::string_view chain = at_.text(NFTNL_EXPR_IMM_CHAIN);
    at_.step();
    switch (code) {
      case NF_DROP:
        rule_.target = Drop{};
        return true;
      case NFT_RETURN:
        rule_.target = Return{};
        return true;
      case NFT_JUMP:
      case NFT_GOTO:
        if (chain.empty() || chain.size() > ChainName::kMaxLength) return false;
        rule_.target = Jump{ChainName(chain), code == NFT_GOTO};
        return true;
      default:
        return false;
    }
  }

  Family family_;
  Cursor at_;
  Rule rule_;
};

std::uint64_t packets_of(const nlmsghdr& message) {
  std::uint64_t packets = 0;
  netlink::for_each_expression(message,
                               [&](std::string_view name, const netlink::Attributes& data) {
                                 if (name == "counter") packets = data.be64(NFTA_COUNTER_PACKETS);
                               });
  return packets;
}

}  // namespace

chains::ObservedRule decode_rule(Family family, const nlmsghdr& message) {
  chains::ObservedRule observed;
  const netlink::Attributes attributes(message);
  observed.ref = attributes.be64(NFTA_RULE_HANDLE);
  observed.packets = packets_of(message);
  // A rule with user data is not ours either: iptables-nft writes none for such rules, and nft
  // would show it as a comment.
  if (!is_like_ours(message)) return observed;
  const netlink::NftnlPtr<nftnl_rule> rule(netlink::made_or_throw(nftnl_rule_alloc()));
  // We write no expression that libnftnl does not know.
  if (nftnl_rule_nlmsg_parse(&message, rule.get()) != 0) return observed;
  Decoder decoder(family, *rule);
  if (decoder.decode()) observed.rule = decoder.take_rule();
  return observed;
}

}  // namespace nmanager::iptables_nft
