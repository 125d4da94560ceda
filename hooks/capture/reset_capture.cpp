#include "hooks/capture/reset_capture.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <string>

namespace nmanager::capture {

namespace {

constexpr std::uint32_t kPass = 0xffff;
constexpr std::uint8_t kRstFlag = 0x04;
constexpr std::size_t kIpv4Header = 20;
constexpr std::size_t kIpv6Header = 40;
constexpr std::size_t kPortsAndFlags = 14;  // of TCP: up to and with the flags
constexpr std::size_t kFlagsAt = 13;

/// For a socket of SOCK_DGRAM, where offset 0 is the network header: RST segments of IPv4 that are
/// no later fragments, and of IPv6 without extension headers.
constexpr sock_filter kFilter[] = {
    BPF_STMT(BPF_LD | BPF_H | BPF_ABS, static_cast<std::uint32_t>(SKF_AD_OFF + SKF_AD_PROTOCOL)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IP, 0, 7),
    BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 9),  // protocol
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_TCP, 0, 11),
    BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 6),  // fragment offset
    BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x1fff, 9, 0),
    BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0),  // length of the header
    BPF_STMT(BPF_LD | BPF_B | BPF_IND, kFlagsAt),
    BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, kRstFlag, 5, 6),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IPV6, 0, 5),
    BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 6),  // next header
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_TCP, 0, 3),
    BPF_STMT(BPF_LD | BPF_B | BPF_ABS, kIpv6Header + kFlagsAt),
    BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, kRstFlag, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, kPass),
    BPF_STMT(BPF_RET | BPF_K, 0),
};

std::uint16_t port_at(std::span<const std::uint8_t> bytes, std::size_t at) {
  return static_cast<std::uint16_t>(bytes[at] << 8 | bytes[at + 1]);
}

Error refused(const char* what, int code) {
  if (code == EPERM || code == EACCES) {
    return {ErrorKind::kDenied, std::string(what) + ": not permitted (CAP_NET_RAW is needed)"};
  }
  const bool missing = code == EAFNOSUPPORT || code == EPROTONOSUPPORT;
  return {missing ? ErrorKind::kUnsupported : ErrorKind::kUnavailable,
          std::string(what) + ": " + std::strerror(code)};
}

}  // namespace

std::optional<Reset> parse_reset(Family family, std::span<const std::uint8_t> packet,
                                 bool outgoing) {
  const bool v4 = family == Family::kIpv4;
  if (packet.size() < (v4 ? kIpv4Header : kIpv6Header)) return std::nullopt;
  const std::size_t header = v4 ? std::size_t{packet[0] & 0x0fU} * 4 : kIpv6Header;
  if (v4 && (header < kIpv4Header || packet[9] != IPPROTO_TCP)) return std::nullopt;
  if (v4 && (port_at(packet, 6) & 0x1fff) != 0) return std::nullopt;  // a later fragment
  if (!v4 && packet[6] != IPPROTO_TCP) return std::nullopt;
  if (packet.size() < header + kPortsAndFlags) return std::nullopt;
  if ((packet[header + kFlagsAt] & kRstFlag) == 0) return std::nullopt;
  const std::size_t address = v4 ? 4 : 16;
  const std::size_t source = v4 ? 12 : 8;
  return Reset{
      {Address(family, packet.subspan(source, address)), port_at(packet, header),
       Address(family, packet.subspan(source + address, address)), port_at(packet, header + 2)},
      outgoing};
}

Result<ResetCapture> ResetCapture::open() {
  // Protocol 0: nothing comes in before the filter is there.
  sys::Fd socket(::socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket.valid()) return refused("opening a packet socket", errno);
  std::array<sock_filter, std::size(kFilter)> code{};
  std::copy(std::begin(kFilter), std::end(kFilter), code.begin());
  const sock_fprog program{static_cast<std::uint16_t>(code.size()), code.data()};
  if (::setsockopt(socket.get(), SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) != 0) {
    return refused("filtering a packet socket", errno);
  }
  const int room = 4 << 20;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVBUF, &room, sizeof room);  // best effort
  sockaddr_ll everywhere{};
  everywhere.sll_family = AF_PACKET;
  everywhere.sll_protocol = htons(ETH_P_ALL);
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&everywhere), sizeof everywhere) !=
      0) {
    return refused("binding a packet socket", errno);
  }
  return ResetCapture(std::move(socket));
}

std::vector<Reset> ResetCapture::take() {
  constexpr std::size_t kAtOnce = 256;
  std::vector<Reset> resets;
  std::array<std::uint8_t, 128> packet{};
  while (resets.size() < kAtOnce) {
    sockaddr_ll from{};
    socklen_t length = sizeof from;
    const ssize_t size = ::recvfrom(socket_.get(), packet.data(), packet.size(), 0,
                                    reinterpret_cast<sockaddr*>(&from), &length);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) break;
    const Family family = ntohs(from.sll_protocol) == ETH_P_IP ? Family::kIpv4 : Family::kIpv6;
    const auto reset = parse_reset(family, std::span(packet).first(static_cast<std::size_t>(size)),
                                   from.sll_pkttype == PACKET_OUTGOING);
    if (reset) resets.push_back(*reset);
  }
  return resets;
}

std::size_t ResetCapture::take_lost() {
  tpacket_stats statistics{};
  socklen_t length = sizeof statistics;
  if (::getsockopt(socket_.get(), SOL_PACKET, PACKET_STATISTICS, &statistics, &length) != 0) {
    return 0;
  }
  return statistics.tp_drops;
}

}  // namespace nmanager::capture
