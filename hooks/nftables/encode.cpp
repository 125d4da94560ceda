#include "hooks/nftables/codec.h"

#include <linux/if.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <utility>

#include "hooks/netlink/expressions.h"
#include "hooks/netlink/packet.h"

namespace nmanager::nftables {

namespace {

/// Registers of four bytes, for keys that consist of several fields (NFT_REG32_*). The kernel names
/// every fourth one, at a multiple of 16 bytes, by its old name.
std::uint32_t register_at(std::size_t word) {
  const auto index = static_cast<std::uint32_t>(word);
  return index % 4 == 0 ? NFT_REG_1 + index / 4 : NFT_REG32_00 + index;
}

class NativeEncoder {
 public:
  explicit NativeEncoder(Family family) : family_(family) {
    const std::uint8_t number = family == Family::kIpv4 ? NFPROTO_IPV4 : NFPROTO_IPV6;
    list_.meta(NFT_META_NFPROTO, NFT_REG_1);
    list_.compare(NFT_CMP_EQ, &number, sizeof number);
  }

  void matches(const NativeRule& rule) {
    if (!rule.in_interface.empty()) in_interface(rule.in_interface);
    if (rule.source) list_.prefix(*rule.source, netlink::source_offset(family_));
    if (rule.destination) list_.prefix(*rule.destination, netlink::destination_offset(family_));
    if (rule.state_invalid) state_invalid();
    if (rule.tcp_flags.mask != 0) tcp_flags(rule.tcp_flags);
    if (rule.among) {
      key(*rule.among);
      lookup(*rule.among);
    }
    if (rule.source_is_local) source_is_local();
    if (rule.mark) set_mark(*rule.mark);
    if (rule.counts) list_.counter();
  }

  void operator()(const Drop&) { list_.verdict(NF_DROP, nullptr); }
  void operator()(const Return&) { list_.verdict(NFT_RETURN, nullptr); }
  void operator()(const Jump& jump) {
    list_.verdict(jump.go_to ? NFT_GOTO : NFT_JUMP, jump.chain.str().c_str());
  }
  void operator()(const Translate& translate) {
    key(translate.map);
    nftnl_expr_set_u32(lookup(translate.map), NFTNL_EXPR_LOOKUP_DREG, NFT_REG_1);
    nftnl_expr* const expr = list_.add("nat");
    nftnl_expr_set_u32(expr, NFTNL_EXPR_NAT_TYPE, NFT_NAT_DNAT);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_NAT_FAMILY,
                       family_ == Family::kIpv4 ? NFPROTO_IPV4 : NFPROTO_IPV6);
    // As the kernel dumps it: the range's end, and the flag that it sets itself (nft_nat.c).
    nftnl_expr_set_u32(expr, NFTNL_EXPR_NAT_REG_ADDR_MIN, NFT_REG_1);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_NAT_REG_ADDR_MAX, NFT_REG_1);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_NAT_FLAGS, NF_NAT_RANGE_MAP_IPS);
  }

  netlink::NftnlPtr<nftnl_rule> take(const std::string& comment) {
    const auto data = comment_data(comment);
    nftnl_rule_set_data(list_.rule(), NFTNL_RULE_USERDATA, data.data(),
                        static_cast<std::uint32_t>(data.size()));
    return list_.take();
  }

 private:
  /// As nft writes it: a whole name is compared including the rest of its field.
  void in_interface(const std::string& name) {
    std::array<char, IFNAMSIZ> field{};
    std::copy_n(name.begin(), std::min(name.size(), field.size() - 1), field.begin());
    const std::size_t size = name.back() == '+' ? name.size() - 1 : field.size();
    list_.meta(NFT_META_IIFNAME, NFT_REG_1);
    if (size > 0) list_.compare(NFT_CMP_EQ, field.data(), size);
  }

  void state_invalid() {
    constexpr std::uint32_t kInvalid = 1;  // NF_CT_STATE_INVALID_BIT (nf_conntrack_common.h)
    constexpr std::uint32_t kZero = 0;
    nftnl_expr* const expr = list_.add("ct");
    nftnl_expr_set_u32(expr, NFTNL_EXPR_CT_KEY, NFT_CT_STATE);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_CT_DREG, NFT_REG_1);
    list_.bitwise(&kInvalid, &kZero, sizeof kInvalid);
    list_.compare(NFT_CMP_NEQ, &kZero, sizeof kZero);
  }

  void tcp_flags(const TcpFlags& flags) {
    constexpr auto kTcp = static_cast<std::uint8_t>(Protocol::kTcp);
    list_.meta(NFT_META_L4PROTO, NFT_REG_1);
    list_.compare(NFT_CMP_EQ, &kTcp, sizeof kTcp);
    list_.tcp_flags(flags);
  }

  /// Loads the fields of the set's key one after another, each at the start of a register.
  void key(const SetId& id) {
    const std::size_t words = family_ == Family::kIpv4 ? 1 : 4;
    std::size_t at = 0;
    const auto address = [&](std::uint32_t offset) {
      list_.payload(NFT_PAYLOAD_NETWORK_HEADER, offset, words * 4, register_at(at));
      at += words;
    };
    if (id.kind == SetKind::kRestricted) address(netlink::source_offset(family_));
    address(netlink::destination_offset(family_));
    if (id.by == MatchBy::kAddress) return;
    list_.meta(NFT_META_L4PROTO, register_at(at++));
    list_.payload(NFT_PAYLOAD_TRANSPORT_HEADER, netlink::kDestinationPortOffset,
                  sizeof(std::uint16_t), register_at(at));
  }

  nftnl_expr* lookup(const SetId& id) {
    nftnl_expr* const expr = list_.add("lookup");
    nftnl_expr_set_u32(expr, NFTNL_EXPR_LOOKUP_SREG, NFT_REG_1);
    nftnl_expr_set_str(expr, NFTNL_EXPR_LOOKUP_SET, name_of(id).c_str());
    nftnl_expr_set_u32(expr, NFTNL_EXPR_LOOKUP_FLAGS, 0);  // dumped in any case
    return expr;
  }

  void source_is_local() {
    constexpr std::uint32_t kLocal = RTN_LOCAL;
    nftnl_expr* const expr = list_.add("fib");
    nftnl_expr_set_u32(expr, NFTNL_EXPR_FIB_DREG, NFT_REG_1);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_FIB_FLAGS, NFTA_FIB_F_SADDR);
    list_.compare(NFT_CMP_EQ, &kLocal, sizeof kLocal);
  }

  void set_mark(const SetMark& mark) {
    const std::uint32_t keep = ~mark.mask;
    list_.meta(NFT_META_MARK, NFT_REG_1);
    list_.bitwise(&keep, &mark.value, sizeof keep);
    nftnl_expr* const expr = list_.add("meta");
    nftnl_expr_set_u32(expr, NFTNL_EXPR_META_KEY, NFT_META_MARK);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_META_SREG, NFT_REG_1);
  }

  Family family_;
  netlink::ExpressionList list_;
};

std::optional<TableId> part_named(std::string_view name) {
  for (const TableId part : kTables) {
    if (to_string(part) == name) return part;
  }
  return std::nullopt;
}

}  // namespace

std::vector<std::uint8_t> comment_data(std::string_view text) {
  constexpr std::size_t kMost = 127;  // NFTNL_UDATA_COMMENT_MAXLEN, including the terminating zero
  text = text.substr(0, kMost);
  std::vector<std::uint8_t> data(2 + text.size() + 1, 0);
  data[1] = static_cast<std::uint8_t>(text.size() + 1);
  std::ranges::copy(text, data.begin() + 2);
  return data;
}

std::string comment_of(std::span<const std::uint8_t> user_data) {
  while (user_data.size() >= 2 && user_data.size() >= user_data[1] + std::size_t{2}) {
    const auto value = user_data.subspan(2, user_data[1]);
    if (user_data[0] == 0) {
      const auto end = std::find(value.begin(), value.end(), std::uint8_t{0});
      return {reinterpret_cast<const char*>(value.data()),
              static_cast<std::size_t>(end - value.begin())};
    }
    user_data = user_data.subspan(2 + value.size());
  }
  return {};
}

netlink::NftnlPtr<nftnl_rule> encode(const NativeRule& rule) {
  NativeEncoder encoder(rule.part.family);
  encoder.matches(rule);
  std::visit(encoder, rule.verdict);
  return encoder.take(to_string(rule.part));
}

std::string print_expressions(nftnl_rule& rule) {
  std::string text;
  const netlink::NftnlPtr<nftnl_expr_iter> walk(
      netlink::made_or_throw(nftnl_expr_iter_create(&rule)));
  while (nftnl_expr* const expr = nftnl_expr_iter_next(walk.get())) {
    const char* const name = nftnl_expr_get_str(expr, NFTNL_EXPR_NAME);
    if (std::strcmp(name, "counter") == 0) {
      text += "counter\n";
      continue;
    }
    std::array<char, 512> printed{};
    nftnl_expr_snprintf(printed.data(), printed.size(), expr, NFTNL_OUTPUT_DEFAULT, 0);
    text += std::string(name) + " " + printed.data() + "\n";
  }
  return text;
}

DumpedRule read_rule(const nlmsghdr& message) {
  const netlink::NftnlPtr<nftnl_rule> rule(netlink::made_or_throw(nftnl_rule_alloc()));
  DumpedRule result;
  const netlink::Attributes attributes(message);
  result.ref = attributes.be64(NFTA_RULE_HANDLE);
  result.part = part_named(comment_of(attributes.bytes(NFTA_RULE_USERDATA)));
  if (nftnl_rule_nlmsg_parse(&message, rule.get()) != 0) {
    result.expressions = "unknown";
    return result;
  }
  const netlink::NftnlPtr<nftnl_expr_iter> walk(
      netlink::made_or_throw(nftnl_expr_iter_create(rule.get())));
  while (nftnl_expr* const expr = nftnl_expr_iter_next(walk.get())) {
    if (std::strcmp(nftnl_expr_get_str(expr, NFTNL_EXPR_NAME), "counter") == 0) {
      result.counts = true;
      result.packets += nftnl_expr_get_u64(expr, NFTNL_EXPR_CTR_PACKETS);
    }
  }
  result.expressions = print_expressions(*rule);
  return result;
}

}  // namespace nmanager::nftables
