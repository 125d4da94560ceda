// A rule of ours as nf_tables expressions, exactly as iptables-nft 1.8.9 writes it, and back.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hooks/chains/observed.h"
#include "hooks/netlink/handles.h"
#include "hooks/values/rule.h"

struct nlmsghdr;

namespace nmanager::iptables_nft {

/// The expressions of `rule`; table, chain and place are the caller's to set. Throws
/// std::bad_alloc.
[[nodiscard]] netlink::NftnlPtr<nftnl_rule> encode_rule(Family family, const Rule& rule);

/// A rule that the kernel dumped. `rule` is set only when encode_rule() would write the very same
/// expressions: in that order, with those lengths and nothing besides. Numbers that the kernel
/// counts are left out of the comparison.
[[nodiscard]] chains::ObservedRule decode_rule(Family family, const nlmsghdr& message);

}  // namespace nmanager::iptables_nft
