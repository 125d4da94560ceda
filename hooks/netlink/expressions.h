// A rule that is built from nf_tables expressions, front to back. Shared by iptables-nft and native
// rules.
#pragma once

#include <cstdint>

#include "hooks/netlink/handles.h"
#include "hooks/values/address.h"
#include "hooks/values/rule.h"

namespace nmanager::netlink {

/// `reg`: NFT_REG_* (linux/netfilter/nf_tables.h). Throws std::bad_alloc.
class ExpressionList {
 public:
  ExpressionList();

  [[nodiscard]] nftnl_rule* rule() const { return rule_.get(); }
  [[nodiscard]] NftnlPtr<nftnl_rule> take() { return std::move(rule_); }

  /// Adds an expression; the caller sets its attributes.
  nftnl_expr* add(const char* name);

  /// Loads the meta key into `reg`.
  void meta(std::uint32_t key, std::uint32_t reg);
  void payload(std::uint32_t base, std::uint32_t offset, std::size_t size, std::uint32_t reg);
  /// Register 1 = (register 1 & mask) ^ flip; both have `size` bytes.
  void bitwise(const void* mask, const void* flip, std::size_t size);
  /// The rule ends here unless register 1 equals the data (with `op` NFT_CMP_NEQ: differs from it).
  void compare(std::uint32_t op, const void* data, std::size_t size);

  /// Matches when the address at `offset` is in the prefix. A length of whole bytes loads only
  /// those bytes; any other length loads the full address and masks it.
  void prefix(const Prefix& prefix, std::uint32_t offset);
  /// TCP's flags; that it is TCP, the caller has to ask before.
  void tcp_flags(const TcpFlags& flags);
  void counter();
  /// `code`: NF_* or NFT_*; `chain`: the target of a jump, else nullptr.
  void verdict(int code, const char* chain);

 private:
  NftnlPtr<nftnl_rule> rule_;
};

}  // namespace nmanager::netlink
