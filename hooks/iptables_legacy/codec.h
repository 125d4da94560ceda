// Rules as the bytes of ipt_entry / ip6t_entry, and back. Pure.
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

/// One entry, aligned as the kernel's structures want it. The largest rule that a Rule can say
/// takes 712 bytes (IPv6 with addrtype, conntrack, multiport, comment and DNAT).
struct EntryBytes {
  alignas(8) std::array<std::uint8_t, 1024> data{};
  std::size_t size = 0;

  [[nodiscard]] std::span<const std::uint8_t> bytes() const { return std::span(data).first(size); }
};

/// The entry that iptables-legacy 1.8.9 makes for the same text, in the form libiptc takes: the
/// name of a chain or verdict stands as the target's name, the verdict itself is 0. kBug when
/// `rule` breaks the contract of its own type (rule.h) or is of the other family.
[[nodiscard]] Result<EntryBytes> encode_rule(Family family, const Rule& rule);

/// The rule that encode_rule would turn into this entry as the kernel gives it back; nothing for
/// every other entry. `jump_to` is the name of the chain that a standard target jumps to, since the
/// entry itself has only its place. Not looked at: packet counters, and what the kernel alone
/// writes (comefrom, bytes behind the end of an extension's name).
[[nodiscard]] std::optional<Rule> decode_rule(Family family, std::span<const std::uint8_t> entry,
                                              std::string_view jump_to);

}  // namespace nmanager::iptables_legacy
