// A hash that is equal for entries that are the same rule. Pure.
#pragma once

#include <cstdint>
#include <string_view>

#include "hooks/iptables_legacy/entry.h"

namespace nmanager::iptables_legacy {

/// Hash of everything that the writer of the rule chose. Excluded are packet counters, fields that
/// only the kernel writes, and the offset that a standard target jumps to, which `jump_to`
/// replaces. F is Ipv4 or Ipv6. Precondition: the entry's frame is valid.
template <class F>
[[nodiscard]] std::uint64_t hash_entry(Span entry, std::string_view jump_to, std::uint64_t seed);

}  // namespace nmanager::iptables_legacy
