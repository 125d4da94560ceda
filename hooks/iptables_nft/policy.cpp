#include "hooks/iptables_nft/policy.h"

#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nf_tables_compat.h>

#include <algorithm>
#include <cstdint>
#include <span>
#include <string_view>

#include "hooks/netlink/message.h"

namespace nmanager::iptables_nft {

namespace {

enum class Kind : std::uint8_t { kU32, kU64, kText, kBytes, kNest, kData };

struct Attribute {
  int type = 0;
  Kind kind = Kind::kBytes;
};

constexpr Attribute kMeta[] = {
    {NFTA_META_DREG, Kind::kU32}, {NFTA_META_KEY, Kind::kU32}, {NFTA_META_SREG, Kind::kU32}};
constexpr Attribute kPayload[] = {
    {NFTA_PAYLOAD_DREG, Kind::kU32},        {NFTA_PAYLOAD_BASE, Kind::kU32},
    {NFTA_PAYLOAD_OFFSET, Kind::kU32},      {NFTA_PAYLOAD_LEN, Kind::kU32},
    {NFTA_PAYLOAD_SREG, Kind::kU32},        {NFTA_PAYLOAD_CSUM_TYPE, Kind::kU32},
    {NFTA_PAYLOAD_CSUM_OFFSET, Kind::kU32}, {NFTA_PAYLOAD_CSUM_FLAGS, Kind::kU32}};
constexpr Attribute kCmp[] = {
    {NFTA_CMP_SREG, Kind::kU32}, {NFTA_CMP_OP, Kind::kU32}, {NFTA_CMP_DATA, Kind::kData}};
constexpr Attribute kBitwise[] = {{NFTA_BITWISE_SREG, Kind::kU32}, {NFTA_BITWISE_DREG, Kind::kU32},
                                  {NFTA_BITWISE_LEN, Kind::kU32},  {NFTA_BITWISE_MASK, Kind::kData},
                                  {NFTA_BITWISE_XOR, Kind::kData}, {NFTA_BITWISE_OP, Kind::kU32},
                                  {NFTA_BITWISE_DATA, Kind::kData}};
constexpr Attribute kRange[] = {{NFTA_RANGE_SREG, Kind::kU32},
                                {NFTA_RANGE_OP, Kind::kU32},
                                {NFTA_RANGE_FROM_DATA, Kind::kData},
                                {NFTA_RANGE_TO_DATA, Kind::kData}};
constexpr Attribute kImmediate[] = {{NFTA_IMMEDIATE_DREG, Kind::kU32},
                                    {NFTA_IMMEDIATE_DATA, Kind::kData}};
constexpr Attribute kCounter[] = {{NFTA_COUNTER_BYTES, Kind::kU64},
                                  {NFTA_COUNTER_PACKETS, Kind::kU64},
                                  {NFTA_COUNTER_PAD, Kind::kBytes}};
constexpr Attribute kMatch[] = {
    {NFTA_MATCH_NAME, Kind::kText}, {NFTA_MATCH_REV, Kind::kU32}, {NFTA_MATCH_INFO, Kind::kBytes}};
constexpr Attribute kTarget[] = {{NFTA_TARGET_NAME, Kind::kText},
                                 {NFTA_TARGET_REV, Kind::kU32},
                                 {NFTA_TARGET_INFO, Kind::kBytes}};

constexpr Attribute kData[] = {{NFTA_DATA_VALUE, Kind::kBytes}, {NFTA_DATA_VERDICT, Kind::kNest}};
constexpr Attribute kVerdict[] = {{NFTA_VERDICT_CODE, Kind::kU32},
                                  {NFTA_VERDICT_CHAIN, Kind::kText}};
constexpr Attribute kExpression[] = {{NFTA_EXPR_NAME, Kind::kText}, {NFTA_EXPR_DATA, Kind::kNest}};
constexpr Attribute kRule[] = {
    {NFTA_RULE_TABLE, Kind::kText},   {NFTA_RULE_CHAIN, Kind::kText},
    {NFTA_RULE_HANDLE, Kind::kU64},   {NFTA_RULE_EXPRESSIONS, Kind::kNest},
    {NFTA_RULE_POSITION, Kind::kU64}, {NFTA_RULE_PAD, Kind::kBytes}};

struct Expression {
  std::string_view name;
  std::span<const Attribute> attributes;
};
constexpr Expression kExpressions[] = {
    {"meta", kMeta},       {"payload", kPayload}, {"cmp", kCmp},
    {"bitwise", kBitwise}, {"range", kRange},     {"immediate", kImmediate},
    {"counter", kCounter}, {"match", kMatch},     {"target", kTarget}};

bool is_text(const nlattr& attribute) {
  const auto size = mnl_attr_get_payload_len(&attribute);
  const auto* const bytes = static_cast<const char*>(mnl_attr_get_payload(&attribute));
  return size > 1 && bytes[size - 1] == '\0' && bytes[0] != '\0';
}

bool all_known(const netlink::Attributes& attributes, std::span<const Attribute> known);

/// Whether it is a value, or a verdict, which must have a chain if it is a jump.
bool is_data(const nlattr& attribute) {
  const netlink::Attributes data(attribute);
  if (!all_known(data, kData)) return false;
  const nlattr* const verdict = data.find(NFTA_DATA_VERDICT);
  if (verdict == nullptr) return data.find(NFTA_DATA_VALUE) != nullptr;
  const netlink::Attributes parts(*verdict);
  const auto code = static_cast<int>(parts.be32(NFTA_VERDICT_CODE));
  const bool jumps = code == NFT_JUMP || code == NFT_GOTO;
  return all_known(parts, kVerdict) && parts.find(NFTA_VERDICT_CODE) != nullptr &&
         (!jumps || parts.find(NFTA_VERDICT_CHAIN) != nullptr);
}

bool is_of_kind(const nlattr& attribute, Kind kind) {
  switch (kind) {
    case Kind::kU32:
      return mnl_attr_get_payload_len(&attribute) == sizeof(std::uint32_t);
    case Kind::kU64:
      return mnl_attr_get_payload_len(&attribute) == sizeof(std::uint64_t);
    case Kind::kText:
      return is_text(attribute);
    case Kind::kBytes:
      return true;
    case Kind::kNest:
      return mnl_attr_get_payload_len(&attribute) >= MNL_ATTR_HDRLEN;
    case Kind::kData:
      return is_data(attribute);
  }
  return false;
}

/// Whether every attribute is known, valid and unique: of repeated ones libnftnl uses the last, our
/// own readers the first.
bool all_known(const netlink::Attributes& attributes, std::span<const Attribute> known) {
  bool all = true;
  std::uint64_t seen = 0;  // a bit for each type; the known ones are small numbers
  attributes.for_each([&](const nlattr& attribute) {
    const int type = mnl_attr_get_type(&attribute);
    const auto found = std::ranges::find(known, type, &Attribute::type);
    all = all && found != known.end() && is_of_kind(attribute, found->kind);
    if (!all) return;
    const std::uint64_t bit = std::uint64_t{1} << type;
    all = (seen & bit) == 0;
    seen |= bit;
  });
  return all;
}

bool is_known(const nlattr& element) {
  const netlink::Attributes expression(element);
  const nlattr* const data = expression.find(NFTA_EXPR_DATA);
  if (mnl_attr_get_type(&element) != NFTA_LIST_ELEM || !all_known(expression, kExpression) ||
      data == nullptr) {
    return false;
  }
  const auto* const known =
      std::ranges::find(kExpressions, expression.text(NFTA_EXPR_NAME), &Expression::name);
  return known != std::end(kExpressions) &&
         all_known(netlink::Attributes(*data), known->attributes);
}

}  // namespace

bool is_like_ours(const nlmsghdr& message) {
  const netlink::Attributes rule(message);
  const nlattr* const list = rule.find(NFTA_RULE_EXPRESSIONS);
  if (list == nullptr || !all_known(rule, kRule)) return false;
  bool all = true;
  netlink::Attributes(*list).for_each(
      [&](const nlattr& element) { all = all && is_known(element); });
  return all;
}

}  // namespace nmanager::iptables_nft
