// Encodes rules as the bytes of ipt_entry / ip6t_entry, and decodes them. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "hooks/values/address.h"
#include "hooks/values/result.h"
#include "hooks/values/rule.h"

namespace nmanager::iptables_legacy {

/// One entry, aligned as the kernel's structures require. The largest valid Rule needs 712 bytes
/// (IPv6 with addrtype, conntrack, multiport, comment and DNAT).
struct EntryBytes {
  alignas(8) std::array<std::uint8_t, 1024> data;  // of which `size` are in use
  std::size_t size = 0;

  [[nodiscard]] std::span<const std::uint8_t> bytes() const { return std::span(data).first(size); }
};

/// The entry that iptables-legacy 1.8.9 creates for the same rule, in the form that libiptc
/// expects: the target's name is the name of the chain or verdict, and the verdict itself is 0.
/// kBug if `rule` violates the contract of its type (rule.h) or is of the other family.
[[nodiscard]] Result<EntryBytes> encode_rule(Family family, const Rule& rule);

/// The rule for which encode_rule would create this entry, as the kernel returns it; nullopt for
/// every other entry. `jump_to` is the name of the chain that a standard target jumps to, since the
/// entry itself has only its offset. Ignored: packet counters, and bytes that only the kernel
/// writes (comefrom, bytes after the end of an extension's name).
[[nodiscard]] std::optional<Rule> decode_rule(Family family, std::span<const std::uint8_t> entry,
                                              std::string_view jump_to);

}  // namespace nmanager::iptables_legacy
