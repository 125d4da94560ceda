// Encodes our rules as nf_tables expressions, exactly as iptables-nft 1.8.9 writes them, and
// decodes them.
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

/// The expressions of `rule`; the caller sets table, chain and position. Throws std::bad_alloc when
/// memory is exhausted; there is no other error, so `rule` must satisfy the contract of its type
/// (rule.h).
[[nodiscard]] netlink::NftnlPtr<nftnl_rule> encode_rule(Family family, const Rule& rule);

/// A rule that the kernel dumped. `rule` is set only if encode_rule() would write exactly these
/// expressions, in the same order and with the same lengths. Counters are ignored. Throws
/// std::bad_alloc.
[[nodiscard]] chains::ObservedRule decode_rule(Family family, const nlmsghdr& message);

}  // namespace nmanager::iptables_nft
