// Offsets of the fields of a packet.
#pragma once

#include <cstdint>

#include "hooks/values/address.h"

namespace nmanager::netlink {

/// In bytes, from the start of the network header (RFC 791, RFC 8200).
constexpr std::uint32_t source_offset(Family family) {
  return family == Family::kIpv4 ? 12 : 8;
}
constexpr std::uint32_t destination_offset(Family family) {
  return family == Family::kIpv4 ? 16 : 24;
}
/// From the start of the transport header, for both TCP and UDP.
inline constexpr std::uint32_t kDestinationPortOffset = 2;
inline constexpr std::uint32_t kTcpFlagsOffset = 13;  // RFC 9293, 3.1

}  // namespace nmanager::netlink
