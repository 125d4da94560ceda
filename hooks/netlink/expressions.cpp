#include "hooks/netlink/expressions.h"

#include <linux/netfilter/nf_tables.h>

#include <array>
#include <cstdint>

#include "hooks/netlink/packet.h"

namespace nmanager::netlink {

ExpressionList::ExpressionList() : rule_(made_or_throw(nftnl_rule_alloc())) {}

nftnl_expr* ExpressionList::add(const char* name) {
  nftnl_expr* const expr = made_or_throw(nftnl_expr_alloc(name));
  nftnl_rule_add_expr(rule_.get(), expr);
  return expr;
}

void ExpressionList::meta(std::uint32_t key, std::uint32_t reg) {
  nftnl_expr* const expr = add("meta");
  nftnl_expr_set_u32(expr, NFTNL_EXPR_META_KEY, key);
  nftnl_expr_set_u32(expr, NFTNL_EXPR_META_DREG, reg);
}

void ExpressionList::payload(std::uint32_t base, std::uint32_t offset, std::size_t size,
                             std::uint32_t reg) {
  nftnl_expr* const expr = add("payload");
  nftnl_expr_set_u32(expr, NFTNL_EXPR_PAYLOAD_DREG, reg);
  nftnl_expr_set_u32(expr, NFTNL_EXPR_PAYLOAD_BASE, base);
  nftnl_expr_set_u32(expr, NFTNL_EXPR_PAYLOAD_OFFSET, offset);
  nftnl_expr_set_u32(expr, NFTNL_EXPR_PAYLOAD_LEN, static_cast<std::uint32_t>(size));
}

void ExpressionList::bitwise(const void* mask, const void* flip, std::size_t size) {
  const auto length = static_cast<std::uint32_t>(size);
  nftnl_expr* const expr = add("bitwise");
  nftnl_expr_set_u32(expr, NFTNL_EXPR_BITWISE_SREG, NFT_REG_1);
  nftnl_expr_set_u32(expr, NFTNL_EXPR_BITWISE_DREG, NFT_REG_1);
  nftnl_expr_set_u32(expr, NFTNL_EXPR_BITWISE_LEN, length);
  nftnl_expr_set(expr, NFTNL_EXPR_BITWISE_MASK, mask, length);
  nftnl_expr_set(expr, NFTNL_EXPR_BITWISE_XOR, flip, length);
}

void ExpressionList::compare(std::uint32_t op, const void* data, std::size_t size) {
  nftnl_expr* const expr = add("cmp");
  nftnl_expr_set_u32(expr, NFTNL_EXPR_CMP_SREG, NFT_REG_1);
  nftnl_expr_set_u32(expr, NFTNL_EXPR_CMP_OP, op);
  nftnl_expr_set(expr, NFTNL_EXPR_CMP_DATA, data, static_cast<std::uint32_t>(size));
}

void ExpressionList::prefix(const Prefix& prefix, std::uint32_t offset) {
  constexpr std::array<std::uint8_t, 16> kZero{};
  const auto bits = static_cast<std::size_t>(prefix.length());
  const auto address = prefix.address().bytes();
  const std::size_t size = bits % 8 == 0 ? bits / 8 : address.size();
  payload(NFT_PAYLOAD_NETWORK_HEADER, offset, size, NFT_REG_1);
  if (bits % 8 != 0) bitwise(prefix.mask().bytes().data(), kZero.data(), size);
  compare(NFT_CMP_EQ, address.data(), size);
}

void ExpressionList::tcp_flags(const TcpFlags& flags) {
  constexpr std::uint8_t kZero = 0;
  payload(NFT_PAYLOAD_TRANSPORT_HEADER, kTcpFlagsOffset, sizeof flags.mask, NFT_REG_1);
  bitwise(&flags.mask, &kZero, sizeof flags.mask);
  compare(NFT_CMP_EQ, &flags.value, sizeof flags.value);
}

void ExpressionList::counter() {
  nftnl_expr* const expr = add("counter");
  nftnl_expr_set_u64(expr, NFTNL_EXPR_CTR_PACKETS, 0);
  nftnl_expr_set_u64(expr, NFTNL_EXPR_CTR_BYTES, 0);
}

void ExpressionList::verdict(int code, const char* chain) {
  nftnl_expr* const expr = add("immediate");
  nftnl_expr_set_u32(expr, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
  nftnl_expr_set_u32(expr, NFTNL_EXPR_IMM_VERDICT, static_cast<std::uint32_t>(code));
  if (chain != nullptr) nftnl_expr_set_str(expr, NFTNL_EXPR_IMM_CHAIN, chain);
}

}  // namespace nmanager::netlink
