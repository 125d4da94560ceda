// Where the fields of a packet are, and the revisions of the extensions: shared by encode and
// decode.
#pragma once

#include <cstdint>

#include "hooks/values/rule.h"

namespace nmanager {

inline constexpr std::uint32_t kAddrtypeRevision = 1;
inline constexpr std::uint32_t kConntrackRevision = 3;
inline constexpr std::uint32_t kMultiportRevision = 1;
inline constexpr std::uint32_t kCommentRevision = 0;
inline constexpr std::uint32_t kTargetRevision = 2;  // DNAT and MARK alike

/// Offsets in the network header (RFC 791, RFC 8200).
constexpr std::uint32_t source_offset(Family family) {
  return family == Family::kIpv4 ? 12 : 8;
}
constexpr std::uint32_t destination_offset(Family family) {
  return family == Family::kIpv4 ? 16 : 24;
}
/// In the transport header of TCP and UDP alike.
inline constexpr std::uint32_t kDestinationPortOffset = 2;

/// True when the ports need `-m multiport`; else the protocol's own match says them.
[[nodiscard]] bool uses_multiport(const Rule& rule);

}  // namespace nmanager
