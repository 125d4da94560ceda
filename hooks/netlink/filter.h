// Classic BPF programs for the event socket. They pass only the ends of transactions and messages
// about our objects, so that the thousands of messages of a bulk writer neither wake us nor fill
// the queue.
#pragma once

#include <linux/filter.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

namespace nmanager::netlink {

/// Passes a datagram that contains NEWGEN (the end of a transaction), or a message about one of our
/// chains (kOwnChainPrefix) or a rule in it that the socket `own_port` did not cause. The kernel
/// packs several messages into a datagram (nf_tables_api.c, nft_commit_notify): the program checks
/// the first `messages` of them and passes a datagram that has more. Classic BPF has no loops, so
/// the length of the program grows with `messages`.
[[nodiscard]] std::vector<sock_filter> own_chain_filter(std::uint32_t own_port,
                                                        std::size_t messages);

/// The same for messages about any object in the table of that name, in any family.
[[nodiscard]] std::vector<sock_filter> table_filter(std::string_view table, std::uint32_t own_port,
                                                    std::size_t messages);

using FilterMaker =
    std::function<std::vector<sock_filter>(std::uint32_t own_port, std::size_t messages)>;

/// Attaches the program with as many messages as the kernel's limit for socket memory allows.
/// False: no program is attached and every event is received, which is correct but costs CPU time.
bool attach_filter(int socket, std::uint32_t own_port, const FilterMaker& make);

}  // namespace nmanager::netlink
