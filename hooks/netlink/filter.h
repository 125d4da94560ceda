// Classic BPF programs for the listening socket: of what nf_tables reports only two things come
// through, so that a bulk writer's thousands of messages neither wake us nor fill the queue.
#pragma once

#include <linux/filter.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

namespace nmanager::netlink {

/// Passes a datagram that holds NEWGEN (the end of a transaction), or a message about a rule or a
/// chain whose chain is ours (kOwnChainPrefix) and that the socket `own_port` did not cause. The
/// kernel packs several messages into a datagram (nf_tables_api.c, nft_commit_notify): the program
/// looks at the first `messages` of them, and passes what has more. Classic BPF has no loops, so it
/// is as long as that.
[[nodiscard]] std::vector<sock_filter> own_chain_filter(std::uint32_t own_port,
                                                        std::size_t messages);

/// The same for messages about anything in the table of that name, of any family.
[[nodiscard]] std::vector<sock_filter> table_filter(std::string_view table, std::uint32_t own_port,
                                                    std::size_t messages);

using FilterMaker =
    std::function<std::vector<sock_filter>(std::uint32_t own_port, std::size_t messages)>;

/// Attaches it with as many messages as the kernel's limit for socket memory allows. False: none;
/// everything comes through, which is correct, but costs.
bool attach_filter(int socket, std::uint32_t own_port, const FilterMaker& make);

}  // namespace nmanager::netlink
