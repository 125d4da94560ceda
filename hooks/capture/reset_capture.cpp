#include "hooks/capture/reset_capture.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>

#include "hooks/capture/segment_filter.h"
#include "hooks/capture/tcp_header.h"

namespace nmanager::capture {

namespace {

constexpr std::size_t kPortsAndFlags = 14;  // of TCP: up to and including the flags

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

bool attach(int socket, std::vector<sock_filter> code) {
  const sock_fprog program{static_cast<std::uint16_t>(code.size()), code.data()};
  return ::setsockopt(socket, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0;
}

}  // namespace

std::optional<Segment> parse_segment(Family family, std::span<const std::uint8_t> packet,
                                     bool outgoing) {
  const bool v4 = family == Family::kIpv4;
  if (packet.size() < (v4 ? kIpv4Header : kIpv6Header)) return std::nullopt;
  const std::size_t header = v4 ? std::size_t{packet[0] & 0x0fU} * 4 : kIpv6Header;
  if (v4 && (header < kIpv4Header || packet[9] != IPPROTO_TCP)) return std::nullopt;
  if (v4 && (port_at(packet, 6) & 0x1fff) != 0) return std::nullopt;  // a later fragment
  if (!v4 && packet[6] != IPPROTO_TCP) return std::nullopt;
  if (packet.size() < header + kPortsAndFlags) return std::nullopt;
  const std::size_t address = v4 ? 4 : 16;
  const std::size_t source = v4 ? 12 : 8;
  const Tuple tuple{Address(family, packet.subspan(source, address)), port_at(packet, header),
                    Address(family, packet.subspan(source + address, address)),
                    port_at(packet, header + 2)};
  return Segment{tuple, outgoing, (packet[header + kTcpFlagsAt] & kRstFlag) != 0};
}

Result<ResetCapture> ResetCapture::open(std::span<const Prefix> pods) {
  // Protocol 0: no packet is received before the filter is set.
  sys::Fd socket(::socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket.valid()) return refused("opening a packet socket", errno);
  if (!attach(socket.get(), segment_filter(pods))) {
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

std::vector<Segment> ResetCapture::take() {
  constexpr std::size_t kAtOnce = 256;
  std::vector<Segment> segments;
  std::array<std::uint8_t, 128> packet{};
  while (segments.size() < kAtOnce) {
    sockaddr_ll from{};
    socklen_t length = sizeof from;
    const ssize_t size = ::recvfrom(socket_.get(), packet.data(), packet.size(), 0,
                                    reinterpret_cast<sockaddr*>(&from), &length);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) break;
    const Family family = ntohs(from.sll_protocol) == ETH_P_IP ? Family::kIpv4 : Family::kIpv6;
    const auto segment =
        parse_segment(family, std::span(packet).first(static_cast<std::size_t>(size)),
                      from.sll_pkttype == PACKET_OUTGOING);
    if (!segment) continue;
    segments.push_back(*segment);
    if (!segment->reset && ++of_pods_ == kMostOfPods) attach(socket_.get(), segment_filter({}));
  }
  return segments;
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
