#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "hooks/iptables_nft/codec.h"
#include "hooks/netlink/expressions.h"
#include "hooks/netlink/packet.h"
#include "hooks/xt/payload.h"

namespace nmanager::iptables_nft {

namespace {

class CompatEncoder {
 public:
  explicit CompatEncoder(Family family) : family_(family) {}

  void in_interface(const std::string& name) {
    list_.meta(NFT_META_IIFNAME, NFT_REG_1);
    const bool wildcard = name.back() == '+';
    // For a wildcard the characters before it are compared, for a whole name also its terminating
    // zero.
    if (const std::size_t size = wildcard ? name.size() - 1 : name.size() + 1; size > 0) {
      list_.compare(NFT_CMP_EQ, name.c_str(), size);
    }
  }

  void protocol(Protocol protocol) {
    const auto number = static_cast<std::uint8_t>(protocol);
    if (protocol != Protocol::kAny) {
      list_.meta(NFT_META_L4PROTO, NFT_REG_1);
      list_.compare(NFT_CMP_EQ, &number, sizeof number);
    }
    nftnl_rule_set_u32(list_.rule(), NFTNL_RULE_COMPAT_PROTO, number);
    nftnl_rule_set_u32(list_.rule(), NFTNL_RULE_COMPAT_FLAGS, 0);
  }

  void source(const Prefix& prefix) { list_.prefix(prefix, netlink::source_offset(family_)); }
  void destination(const Prefix& prefix) {
    list_.prefix(prefix, netlink::destination_offset(family_));
  }

  void destination_port(const PortRange& range) {
    const std::uint16_t first = htons(range.first);
    const std::uint16_t last = htons(range.last);
    list_.payload(NFT_PAYLOAD_TRANSPORT_HEADER, netlink::kDestinationPortOffset, sizeof first,
                  NFT_REG_1);
    if (first == last) {
      list_.compare(NFT_CMP_EQ, &first, sizeof first);
      return;
    }
    nftnl_expr* const expr = list_.add("range");
    nftnl_expr_set_u32(expr, NFTNL_EXPR_RANGE_SREG, NFT_REG_1);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_RANGE_OP, NFT_RANGE_EQ);
    nftnl_expr_set(expr, NFTNL_EXPR_RANGE_FROM_DATA, &first, sizeof first);
    nftnl_expr_set(expr, NFTNL_EXPR_RANGE_TO_DATA, &last, sizeof last);
  }

  void tcp_flags(const TcpFlags& flags) { list_.tcp_flags(flags); }

  void match(const xt::Extension& extension, const xt::Bytes& info) {
    nftnl_expr* const expr = list_.add("match");
    nftnl_expr_set_str(expr, NFTNL_EXPR_MT_NAME, std::string(extension.name).c_str());
    nftnl_expr_set_u32(expr, NFTNL_EXPR_MT_REV, extension.revision);
    give(expr, NFTNL_EXPR_MT_INFO, info);
  }

  void counter() { list_.counter(); }

  void operator()(const Drop&) { list_.verdict(NF_DROP, nullptr); }
  void operator()(const Return&) { list_.verdict(NFT_RETURN, nullptr); }
  void operator()(const Jump& jump) {
    list_.verdict(jump.go_to ? NFT_GOTO : NFT_JUMP, jump.chain.str().c_str());
  }
  void operator()(const Dnat& dnat) { target(xt::kDnat, xt::dnat(dnat.to)); }
  void operator()(const SetMark& mark) { target(xt::kMark, xt::set_mark(mark)); }

  netlink::NftnlPtr<nftnl_rule> take() { return list_.take(); }

 private:
  /// Copies `info`, because libnftnl keeps the pointer and frees it with free().
  static void give(nftnl_expr* expr, std::uint16_t attribute, const xt::Bytes& info) {
    void* const copy = netlink::made_or_throw(std::malloc(info.size()));
    std::memcpy(copy, info.data(), info.size());
    nftnl_expr_set(expr, attribute, copy, static_cast<std::uint32_t>(info.size()));
  }

  void target(const xt::Extension& extension, const xt::Bytes& info) {
    nftnl_expr* const expr = list_.add("target");
    nftnl_expr_set_str(expr, NFTNL_EXPR_TG_NAME, std::string(extension.name).c_str());
    nftnl_expr_set_u32(expr, NFTNL_EXPR_TG_REV, extension.revision);
    give(expr, NFTNL_EXPR_TG_INFO, info);
  }

  Family family_;
  netlink::ExpressionList list_;
};

}  // namespace

netlink::NftnlPtr<nftnl_rule> encode_rule(Family family, const Rule& rule) {
  CompatEncoder encoder(family);
  if (!rule.in_interface.empty()) encoder.in_interface(rule.in_interface);
  encoder.protocol(rule.protocol);
  if (rule.source) encoder.source(*rule.source);
  if (rule.destination) encoder.destination(*rule.destination);
  if (rule.source_is_local) {
    encoder.match(xt::kAddrtype, xt::source_is_local());
  }
  if (rule.state_invalid) {
    encoder.match(xt::kConntrack, xt::state_invalid());
  }
  if (xt::uses_multiport(rule)) {
    encoder.match(xt::kMultiport, xt::destination_ports(rule.destination_ports));
  } else if (!rule.destination_ports.empty()) {
    encoder.destination_port(rule.destination_ports.front());
  }
  if (rule.tcp_flags.mask != 0) encoder.tcp_flags(rule.tcp_flags);
  if (!rule.comment.empty()) {
    encoder.match(xt::kComment, xt::comment(rule.comment));
  }
  encoder.counter();
  std::visit(encoder, rule.target);
  return encoder.take();
}

}  // namespace nmanager::iptables_nft
