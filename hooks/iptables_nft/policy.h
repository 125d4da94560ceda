// Whether a dumped rule may be handed to libnftnl. It ends the process when an attribute is not as
// it expects, and reads a name or the chain of a jump without asking whether there is one
// (libnftnl 1.2.4). The kernel does not send such; but a rule of somebody else, by a kernel of the
// future, shall not take us down. Pure.
#pragma once

struct nlmsghdr;

namespace nmanager::iptables_nft {

/// True when every expression is one that we write, with attributes as the kernel's policies have
/// them (net/netfilter/nft_*.c, nf_tables_api.c). False is enough to tell that the rule is none of
/// ours.
[[nodiscard]] bool is_like_ours(const nlmsghdr& message);

}  // namespace nmanager::iptables_nft
