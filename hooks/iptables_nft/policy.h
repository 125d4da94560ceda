// Checks whether a dumped rule may be passed to libnftnl, which aborts the process on an unexpected
// attribute and reads a name or the chain of a jump without checking that it exists (libnftnl
// 1.2.4). The present kernel does not send such rules, but a rule of another program on a future
// kernel must not end this process. Pure.
#pragma once

struct nlmsghdr;

namespace nmanager::iptables_nft {

/// True if every expression is one that we write, with attributes that conform to the kernel's
/// policies (net/netfilter/nft_*.c, nf_tables_api.c). False means that the rule is not ours.
[[nodiscard]] bool is_like_ours(const nlmsghdr& message);

}  // namespace nmanager::iptables_nft
