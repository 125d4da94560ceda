// A rule that grows by nf_tables expressions, front to back. What iptables-nft and native rules
// share.
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

  /// An expression whose attributes are the caller's to set.
  nftnl_expr* add(const char* name);

  /// Loads into `reg`.
  void meta(std::uint32_t key, std::uint32_t reg);
  void payload(std::uint32_t base, std::uint32_t offset, std::size_t size, std::uint32_t reg);
  /// Register 1 = (register 1 & mask) ^ flip; both of `size` bytes.
  void bitwise(const void* mask, const void* flip, std::size_t size);
  /// The rule ends here unless register 1 equals (or, `op` NFT_CMP_NEQ, differs from) the data.
  void compare(std::uint32_t op, const void* data, std::size_t size);

  /// An address of the packet lies in the prefix. Whole bytes are loaded as such; a length within a
  /// byte loads all and masks.
  void prefix(const Prefix& prefix, std::uint32_t offset);
  /// TCP's flags; that it is TCP, the caller has to ask before.
  void tcp_flags(const TcpFlags& flags);
  void counter();
  /// NF_* or NFT_*; `chain` for jumps, else nullptr.
  void verdict(int code, const char* chain);

 private:
  NftnlPtr<nftnl_rule> rule_;
};

}  // namespace nmanager::netlink
