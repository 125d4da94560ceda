// Offsets in bytes of the header fields in use (RFC 791, RFC 8200, RFC 9293).
#pragma once

#include <cstddef>
#include <cstdint>

namespace nmanager::capture {

inline constexpr std::size_t kIpv4Header = 20;  // without options
inline constexpr std::size_t kIpv6Header = 40;
inline constexpr std::size_t kTcpFlagsAt = 13;
inline constexpr std::uint8_t kRstFlag = 0x04;

}  // namespace nmanager::capture
