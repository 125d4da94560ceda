#include "hooks/xt/payload.h"

#include <arpa/inet.h>
#include <limits.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/x_tables.h>
#include <linux/netfilter/xt_addrtype.h>
#include <linux/netfilter/xt_comment.h>
#include <linux/netfilter/xt_conntrack.h>
#include <linux/netfilter/xt_mark.h>
#include <linux/netfilter/xt_multiport.h>
#include <linux/netfilter/xt_tcpudp.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace nmanager::xt {

namespace {

/// Bytes up to the end of the last member: the padding after it is not sent, since its content is
/// undefined.
template <class T>
constexpr std::size_t kUsed = sizeof(T);
template <>
constexpr std::size_t kUsed<xt_conntrack_mtinfo3> = offsetof(xt_conntrack_mtinfo3,
                                                             repldst_port_high) +
                                                    sizeof(__u16);
template <>
constexpr std::size_t kUsed<nf_nat_range2> = offsetof(nf_nat_range2, base_proto) +
                                             sizeof(nf_conntrack_man_proto);
template <>
constexpr std::size_t kUsed<xt_udp> = offsetof(xt_udp, invflags) + sizeof(__u8);

static_assert(aligned(1) == alignof(_xt_align));

template <class T>
Bytes padded(const T& info) {
  static_assert(kUsed<T> < sizeof(T) || std::has_unique_object_representations_v<T>);
  Bytes bytes(aligned(sizeof info), 0);
  std::memcpy(bytes.data(), &info, kUsed<T>);
  return bytes;
}

/// The structure at the front; nullopt if there are fewer bytes, or more bytes than its padding.
template <class T>
std::optional<T> unpadded(std::span<const std::uint8_t> bytes) {
  if (bytes.size() < sizeof(T) || bytes.size() > aligned(sizeof(T))) return std::nullopt;
  T info;
  std::memcpy(&info, bytes.data(), sizeof info);
  return info;
}

bool same(std::span<const std::uint8_t> bytes, const Bytes& written) {
  return bytes.size() <= written.size() &&
         std::equal(bytes.begin(), bytes.end(), written.begin()) &&
         std::all_of(written.begin() + static_cast<std::ptrdiff_t>(bytes.size()), written.end(),
                     [](std::uint8_t byte) { return byte == 0; });
}

nf_inet_addr inet_address(const Address& address) {
  nf_inet_addr result{};
  std::memcpy(&result, address.bytes().data(), address.bytes().size());
  return result;
}

}  // namespace

Bytes comment(std::string_view text) {
  xt_comment_info info{};
  std::memcpy(info.comment, text.data(), std::min(text.size(), sizeof info.comment - 1));
  return padded(info);
}

std::optional<std::string> read_comment(std::span<const std::uint8_t> bytes) {
  const auto info = unpadded<xt_comment_info>(bytes);
  if (!info) return std::nullopt;
  std::string text(info->comment, strnlen(info->comment, sizeof info->comment));
  if (text.empty() || !same(bytes, comment(text))) return std::nullopt;
  return text;
}

Bytes source_is_local() {
  xt_addrtype_info_v1 info{};
  info.source = XT_ADDRTYPE_LOCAL;
  return padded(info);
}

Bytes state_invalid() {
  xt_conntrack_mtinfo3 info{};
  info.match_flags = XT_CONNTRACK_STATE;
  info.state_mask = XT_CONNTRACK_STATE_INVALID;
  return padded(info);
}

bool matches_invalid(std::uint8_t revision, std::span<const std::uint8_t> bytes) {
  if (revision != kConntrack.revision || bytes.size() < sizeof(xt_conntrack_mtinfo3)) return false;
  xt_conntrack_mtinfo3 info;
  std::memcpy(&info, bytes.data(), sizeof info);
  return (info.match_flags & XT_CONNTRACK_STATE) != 0 &&
         (info.invert_flags & XT_CONNTRACK_STATE) == 0 &&
         info.state_mask == XT_CONNTRACK_STATE_INVALID;
}

Bytes destination_ports(const PortSet& ports) {
  xt_multiport_v1 info{};
  info.flags = XT_MULTIPORT_DESTINATION;
  std::size_t slot = 0;
  for (const PortRange& range : ports) {
    if (slot + port_slots(range) > kPortSlots) break;
    info.ports[slot] = range.first;
    if (range.first != range.last) {
      info.pflags[slot] = 1;
      info.ports[++slot] = range.last;
    }
    ++slot;
  }
  info.count = static_cast<std::uint8_t>(slot);
  return padded(info);
}

std::optional<PortSet> read_destination_ports(std::span<const std::uint8_t> bytes) {
  const auto info = unpadded<xt_multiport_v1>(bytes);
  if (!info || info->count > kPortSlots) return std::nullopt;
  PortSet ports;
  for (std::size_t slot = 0; slot < info->count; ++slot) {
    PortRange range{info->ports[slot], info->ports[slot]};
    if (info->pflags[slot] != 0) {
      if (slot + 1 == info->count) return std::nullopt;
      range.last = info->ports[++slot];
      if (range.last <= range.first) return std::nullopt;
    }
    ports.push_back(range);
  }
  if (ports.empty() || !same(bytes, destination_ports(ports))) return std::nullopt;
  return ports;
}

template <class Info>
Bytes single_range(const PortRange& range) {
  Info info{};
  info.spts[1] = 0xffff;
  info.dpts[0] = range.first;
  info.dpts[1] = range.last;
  return padded(info);
}

Bytes tcp_port(const PortRange& range) {
  return single_range<xt_tcp>(range);
}
Bytes udp_port(const PortRange& range) {
  return single_range<xt_udp>(range);
}

Bytes tcp_flags(const TcpFlags& flags) {
  xt_tcp info{};
  info.spts[1] = 0xffff;
  info.dpts[1] = 0xffff;
  info.flg_mask = flags.mask;
  info.flg_cmp = flags.value;
  return padded(info);
}

std::optional<TcpFlags> read_tcp_flags(std::span<const std::uint8_t> bytes) {
  const auto info = unpadded<xt_tcp>(bytes);
  if (!info || info->flg_mask == 0) return std::nullopt;
  const TcpFlags flags{info->flg_mask, info->flg_cmp};
  if (!same(bytes, tcp_flags(flags))) return std::nullopt;
  return flags;
}

std::optional<PortRange> read_tcp_port(std::span<const std::uint8_t> bytes) {
  const auto info = unpadded<xt_tcp>(bytes);
  return info ? std::optional(PortRange{info->dpts[0], info->dpts[1]}) : std::nullopt;
}
std::optional<PortRange> read_udp_port(std::span<const std::uint8_t> bytes) {
  const auto info = unpadded<xt_udp>(bytes);
  return info ? std::optional(PortRange{info->dpts[0], info->dpts[1]}) : std::nullopt;
}

Bytes dnat(const Address& to) {
  nf_nat_range2 info{};
  info.flags = NF_NAT_RANGE_MAP_IPS;
  info.min_addr = info.max_addr = inet_address(to);
  return padded(info);
}

std::optional<Address> read_dnat(Family family, std::span<const std::uint8_t> bytes) {
  const auto info = unpadded<nf_nat_range2>(bytes);
  if (!info) return std::nullopt;
  const auto size = static_cast<std::size_t>(address_bits(family)) / 8;
  const auto* const raw = reinterpret_cast<const std::uint8_t*>(&info->min_addr);
  const Address to(family, std::span(raw, size));
  if (!same(bytes, dnat(to))) return std::nullopt;
  return to;
}

Bytes set_mark(const SetMark& mark) {
  xt_mark_tginfo2 info{};
  info.mark = mark.value;
  info.mask = mark.mask;
  return padded(info);
}

std::optional<SetMark> read_set_mark(std::span<const std::uint8_t> bytes) {
  const auto info = unpadded<xt_mark_tginfo2>(bytes);
  if (!info) return std::nullopt;
  return SetMark{info->mark, info->mask};
}

}  // namespace nmanager::xt
