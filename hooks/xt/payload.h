// The payloads of the xt matches and targets that our rules use, as the extensions of iptables
// 1.8.9 fill them in, with the padding that x_tables requires.
#pragma once

#include <boost/container/static_vector.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "hooks/values/rule.h"
#include "hooks/xt/extensions.h"

namespace nmanager::xt {

/// The largest is a comment.
using Bytes = boost::container::static_vector<std::uint8_t, 256>;

/// Like XT_ALIGN of <linux/netfilter/x_tables.h>, which needs the compiler extension `typeof`:
/// rounds up to the alignment of a 64-bit number in the kernel's structures (_xt_align).
[[nodiscard]] constexpr std::size_t aligned(std::size_t size) {
  struct Align {
    std::uint64_t number;  // in a structure, because i386 uses a smaller alignment there
  };
  constexpr std::size_t kAlign = alignof(Align);
  return (size + kAlign - 1) / kAlign * kAlign;
}

[[nodiscard]] Bytes comment(std::string_view text);
[[nodiscard]] Bytes source_is_local();
[[nodiscard]] Bytes state_invalid();
[[nodiscard]] Bytes destination_ports(const PortSet& ports);
[[nodiscard]] Bytes tcp_port(const PortRange& range);
[[nodiscard]] Bytes udp_port(const PortRange& range);
[[nodiscard]] Bytes tcp_flags(const TcpFlags& flags);
[[nodiscard]] Bytes dnat(const Address& to);
[[nodiscard]] Bytes set_mark(const SetMark& mark);

// The inverse functions; nullopt if the bytes are not what the functions above write.
[[nodiscard]] std::optional<std::string> read_comment(std::span<const std::uint8_t> info);
[[nodiscard]] std::optional<PortSet> read_destination_ports(std::span<const std::uint8_t> info);
[[nodiscard]] std::optional<PortRange> read_tcp_port(std::span<const std::uint8_t> info);
[[nodiscard]] std::optional<PortRange> read_udp_port(std::span<const std::uint8_t> info);
/// A conntrack match, of any rule, by which just INVALID packets go on.
[[nodiscard]] bool matches_invalid(std::uint8_t revision, std::span<const std::uint8_t> info);
[[nodiscard]] std::optional<TcpFlags> read_tcp_flags(std::span<const std::uint8_t> info);
[[nodiscard]] std::optional<Address> read_dnat(Family family, std::span<const std::uint8_t> info);
[[nodiscard]] std::optional<SetMark> read_set_mark(std::span<const std::uint8_t> info);

}  // namespace nmanager::xt
