// What of all packets the kernel hands to the capture, as a classic BPF program. Pure.
#pragma once

#include <linux/filter.h>

#include <span>
#include <vector>

#include "hooks/values/address.h"

namespace nmanager::capture {

/// For a packet socket of SOCK_DGRAM, where offset 0 is the network header. Passes segments of TCP
/// with RST; and what leaves a device from an address in `pods` to one that is in none of them.
/// Later fragments of IPv4 and IPv6 behind extension headers are left out. Some 30 instructions
/// for each block.
[[nodiscard]] std::vector<sock_filter> segment_filter(std::span<const Prefix> pods);

}  // namespace nmanager::capture
