// The filter of the capture, as a classic BPF program. Pure.
#pragma once

#include <linux/filter.h>

#include <span>
#include <vector>

#include "hooks/values/address.h"

namespace nmanager::capture {

/// For a packet socket of type SOCK_DGRAM, where offset 0 is the network header. Passes TCP
/// segments with RST, and packets that leave a device from an address in `pods` to an address in
/// none of them. Skips later fragments of IPv4, and IPv6 with extension headers. About 30
/// instructions for each block.
[[nodiscard]] std::vector<sock_filter> segment_filter(std::span<const Prefix> pods);

}  // namespace nmanager::capture
