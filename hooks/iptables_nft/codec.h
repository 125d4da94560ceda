// A rule of ours as nf_tables expressions, exactly as iptables-nft 1.8.9 writes it, and back.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hooks/netlink/handles.h"
#include "hooks/chains/observed.h"
#include "hooks/values/rule.h"

struct nlmsghdr;

namespace nmanager {

/// The expressions of `rule`; table, chain and place are the caller's to set. Throws
/// std::bad_alloc.
[[nodiscard]] NftnlPtr<nftnl_rule> encode_rule(Family family, const Rule& rule);

/// A rule that the kernel dumped. `rule` is set only when encode_rule() would write the very same
/// expressions: in that order, with those lengths and nothing besides. Numbers that the kernel
/// counts are left out of the comparison.
[[nodiscard]] ObservedRule decode_rule(Family family, const nlmsghdr& message);

/// Where a dumped rule jumps or goes to, whatever it matches; empty: nowhere.
[[nodiscard]] std::string jump_target(const nlmsghdr& message);

/// An xt extension that a rule needs from the kernel, by the names nft_compat knows.
struct Extension {
  std::string_view name;
  std::uint32_t revision = 0;
  bool is_target = false;
  bool operator==(const Extension&) const = default;
};
[[nodiscard]] std::vector<Extension> extensions_of(const Rule& rule);

}  // namespace nmanager
