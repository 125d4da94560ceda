#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "hooks/nft/codec.h"
#include "hooks/nft/layout.h"
#include "hooks/xt/xt.h"

namespace nmanager {

namespace {

class Encoder {
 public:
  Encoder() : rule_(made_or_throw(nftnl_rule_alloc())) {}

  void in_interface(const std::string& name) {
    meta(NFT_META_IIFNAME);
    const bool wildcard = name.back() == '+';
    // A wildcard compares the characters before it, a whole name its terminating zero as well.
    if (const std::size_t size = wildcard ? name.size() - 1 : name.size() + 1; size > 0) {
      equal(name.c_str(), size);
    }
  }

  void protocol(Protocol protocol) {
    const auto number = static_cast<std::uint8_t>(protocol);
    if (protocol != Protocol::kAny) {
      meta(NFT_META_L4PROTO);
      equal(&number, sizeof number);
    }
    nftnl_rule_set_u32(rule_.get(), NFTNL_RULE_COMPAT_PROTO, number);
    nftnl_rule_set_u32(rule_.get(), NFTNL_RULE_COMPAT_FLAGS, 0);
  }

  void prefix(const Prefix& prefix, std::uint32_t offset) {
    const auto bits = static_cast<std::size_t>(prefix.length());
    const auto address = prefix.address().bytes();
    // Whole bytes are loaded as such; a length within a byte loads all and masks.
    const std::size_t size = bits % 8 == 0 ? bits / 8 : address.size();
    payload(NFT_PAYLOAD_NETWORK_HEADER, offset, size);
    if (bits % 8 != 0) mask(prefix.mask());
    equal(address.data(), size);
  }

  void destination_port(const PortRange& range) {
    payload(NFT_PAYLOAD_TRANSPORT_HEADER, kDestinationPortOffset, sizeof(std::uint16_t));
    const std::uint16_t first = htons(range.first);
    const std::uint16_t last = htons(range.last);
    if (first == last) {
      equal(&first, sizeof first);
      return;
    }
    nftnl_expr* const expr = add("range");
    nftnl_expr_set_u32(expr, NFTNL_EXPR_RANGE_SREG, NFT_REG_1);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_RANGE_OP, NFT_RANGE_EQ);
    nftnl_expr_set(expr, NFTNL_EXPR_RANGE_FROM_DATA, &first, sizeof first);
    nftnl_expr_set(expr, NFTNL_EXPR_RANGE_TO_DATA, &last, sizeof last);
  }

  void match(std::string_view name, std::uint32_t revision, const xt::Bytes& info) {
    nftnl_expr* const expr = add("match");
    nftnl_expr_set_str(expr, NFTNL_EXPR_MT_NAME, std::string(name).c_str());
    nftnl_expr_set_u32(expr, NFTNL_EXPR_MT_REV, revision);
    give(expr, NFTNL_EXPR_MT_INFO, info);
  }

  void counter() {
    nftnl_expr* const expr = add("counter");
    nftnl_expr_set_u64(expr, NFTNL_EXPR_CTR_PACKETS, 0);
    nftnl_expr_set_u64(expr, NFTNL_EXPR_CTR_BYTES, 0);
  }

  void operator()(const Drop&) { verdict(NF_DROP, nullptr); }
  void operator()(const Return&) { verdict(NFT_RETURN, nullptr); }
  void operator()(const Jump& jump) {
    verdict(jump.go_to ? NFT_GOTO : NFT_JUMP, jump.chain.str().c_str());
  }
  void operator()(const Dnat& dnat) { target(xt::kDnat, xt::dnat(dnat.to)); }
  void operator()(const SetMark& mark) { target(xt::kMark, xt::set_mark(mark)); }

  NftnlPtr<nftnl_rule> take() { return std::move(rule_); }

 private:
  nftnl_expr* add(const char* name) {
    nftnl_expr* const expr = made_or_throw(nftnl_expr_alloc(name));
    nftnl_rule_add_expr(rule_.get(), expr);
    return expr;
  }

  /// libnftnl keeps the pointer and frees it with free().
  static void give(nftnl_expr* expr, std::uint16_t attribute, const xt::Bytes& info) {
    void* const copy = made_or_throw(std::malloc(info.size()));
    std::memcpy(copy, info.data(), info.size());
    nftnl_expr_set(expr, attribute, copy, static_cast<std::uint32_t>(info.size()));
  }

  void meta(std::uint32_t key) {
    nftnl_expr* const expr = add("meta");
    nftnl_expr_set_u32(expr, NFTNL_EXPR_META_KEY, key);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_META_DREG, NFT_REG_1);
  }

  void equal(const void* data, std::size_t size) {
    nftnl_expr* const expr = add("cmp");
    nftnl_expr_set_u32(expr, NFTNL_EXPR_CMP_SREG, NFT_REG_1);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_CMP_OP, NFT_CMP_EQ);
    nftnl_expr_set(expr, NFTNL_EXPR_CMP_DATA, data, static_cast<std::uint32_t>(size));
  }

  void payload(std::uint32_t base, std::uint32_t offset, std::size_t size) {
    nftnl_expr* const expr = add("payload");
    nftnl_expr_set_u32(expr, NFTNL_EXPR_PAYLOAD_DREG, NFT_REG_1);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_PAYLOAD_BASE, base);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_PAYLOAD_OFFSET, offset);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_PAYLOAD_LEN, static_cast<std::uint32_t>(size));
  }

  void mask(const Address& mask) {
    const auto size = static_cast<std::uint32_t>(mask.bytes().size());
    const std::array<std::uint8_t, 16> zero{};
    nftnl_expr* const expr = add("bitwise");
    nftnl_expr_set_u32(expr, NFTNL_EXPR_BITWISE_SREG, NFT_REG_1);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_BITWISE_DREG, NFT_REG_1);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_BITWISE_LEN, size);
    nftnl_expr_set(expr, NFTNL_EXPR_BITWISE_MASK, mask.bytes().data(), size);
    nftnl_expr_set(expr, NFTNL_EXPR_BITWISE_XOR, zero.data(), size);
  }

  void verdict(int code, const char* chain) {
    nftnl_expr* const expr = add("immediate");
    nftnl_expr_set_u32(expr, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_IMM_VERDICT, static_cast<std::uint32_t>(code));
    if (chain != nullptr) nftnl_expr_set_str(expr, NFTNL_EXPR_IMM_CHAIN, chain);
  }

  void target(std::string_view name, const xt::Bytes& info) {
    nftnl_expr* const expr = add("target");
    nftnl_expr_set_str(expr, NFTNL_EXPR_TG_NAME, std::string(name).c_str());
    nftnl_expr_set_u32(expr, NFTNL_EXPR_TG_REV, kTargetRevision);
    give(expr, NFTNL_EXPR_TG_INFO, info);
  }

  NftnlPtr<nftnl_rule> rule_;
};

}  // namespace

bool uses_multiport(const Rule& rule) {
  return rule.destination_ports.size() > 1 ||
         (rule.destination_ports.size() == 1 && rule.protocol == Protocol::kSctp);
}

NftnlPtr<nftnl_rule> encode_rule(Family family, const Rule& rule) {
  Encoder encoder;
  if (!rule.in_interface.empty()) encoder.in_interface(rule.in_interface);
  encoder.protocol(rule.protocol);
  if (rule.source) encoder.prefix(*rule.source, source_offset(family));
  if (rule.destination) encoder.prefix(*rule.destination, destination_offset(family));
  if (rule.source_is_local) {
    encoder.match(xt::kAddrtype, kAddrtypeRevision, xt::source_is_local());
  }
  if (rule.state_invalid) {
    encoder.match(xt::kConntrack, kConntrackRevision, xt::state_invalid());
  }
  if (uses_multiport(rule)) {
    encoder.match(xt::kMultiport, kMultiportRevision,
                  xt::destination_ports(rule.destination_ports));
  } else if (!rule.destination_ports.empty()) {
    encoder.destination_port(rule.destination_ports.front());
  }
  if (!rule.comment.empty()) {
    encoder.match(xt::kComment, kCommentRevision, xt::comment(rule.comment));
  }
  encoder.counter();
  std::visit(encoder, rule.target);
  return encoder.take();
}

std::vector<Extension> extensions_of(const Rule& rule) {
  std::vector<Extension> result;
  if (rule.source_is_local) result.push_back({xt::kAddrtype, kAddrtypeRevision, false});
  if (rule.state_invalid) result.push_back({xt::kConntrack, kConntrackRevision, false});
  if (uses_multiport(rule)) result.push_back({xt::kMultiport, kMultiportRevision, false});
  if (!rule.comment.empty()) result.push_back({xt::kComment, kCommentRevision, false});
  if (std::holds_alternative<Dnat>(rule.target)) {
    result.push_back({xt::kDnat, kTargetRevision, true});
  }
  if (std::holds_alternative<SetMark>(rule.target)) {
    result.push_back({xt::kMark, kTargetRevision, true});
  }
  return result;
}

}  // namespace nmanager
