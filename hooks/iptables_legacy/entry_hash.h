// What makes two entries the same rule, as a number. Pure.
#pragma once

#include <cstdint>
#include <string_view>

#include "hooks/iptables_legacy/entry.h"

namespace nmanager::iptables_legacy {

/// Hash of everything that the writer of the rule chose; left out are packet counters, what the
/// kernel notes for itself, and the place a standard target jumps to, for which `jump_to` stands.
/// F is Ipv4 or Ipv6; the entry's frame is valid.
template <class F>
[[nodiscard]] std::uint64_t hash_entry(Span entry, std::string_view jump_to, std::uint64_t seed);

}  // namespace nmanager::iptables_legacy
