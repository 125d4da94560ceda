#include "hooks/conntrack/look.h"

#include <arpa/inet.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>

#include "hooks/netlink/message.h"

namespace nmanager::conntrack {

namespace {

std::array<std::uint8_t, 2> network_order(std::uint16_t port) {
  return {static_cast<std::uint8_t>(port >> 8), static_cast<std::uint8_t>(port & 0xff)};
}

void put_tuple(netlink::Message& message, const Tuple& tuple) {
  const bool v4 = tuple.source.family() == Family::kIpv4;
  nlattr* const all = message.begin(CTA_TUPLE_ORIG);
  nlattr* const ip = message.begin(CTA_TUPLE_IP);
  message.bytes(v4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC, tuple.source.bytes());
  message.bytes(v4 ? CTA_IP_V4_DST : CTA_IP_V6_DST, tuple.destination.bytes());
  message.end(ip);
  nlattr* const protocol = message.begin(CTA_TUPLE_PROTO);
  const std::uint8_t tcp = IPPROTO_TCP;
  message.bytes(CTA_PROTO_NUM, {&tcp, 1});
  message.bytes(CTA_PROTO_SRC_PORT, network_order(tuple.source_port));
  message.bytes(CTA_PROTO_DST_PORT, network_order(tuple.destination_port));
  message.end(protocol);
  message.end(all);
}

std::uint16_t port_of(const netlink::Attributes& protocol, int attribute) {
  const auto bytes = protocol.bytes(attribute);
  return bytes.size() < 2 ? std::uint16_t{0} : static_cast<std::uint16_t>(bytes[0] << 8 | bytes[1]);
}

/// Nothing: not a tuple of that family with addresses.
std::optional<Tuple> tuple_of(const nlmsghdr& message, int attribute, Family family) {
  const nlattr* const all = netlink::Attributes(message).find(attribute);
  if (all == nullptr) return std::nullopt;
  const nlattr* const ip = netlink::Attributes(*all).find(CTA_TUPLE_IP);
  const nlattr* const protocol = netlink::Attributes(*all).find(CTA_TUPLE_PROTO);
  if (ip == nullptr || protocol == nullptr) return std::nullopt;
  const bool v4 = family == Family::kIpv4;
  const auto source = netlink::Attributes(*ip).bytes(v4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC);
  const auto destination = netlink::Attributes(*ip).bytes(v4 ? CTA_IP_V4_DST : CTA_IP_V6_DST);
  const std::size_t size = v4 ? 4 : 16;
  if (source.size() != size || destination.size() != size) return std::nullopt;
  const netlink::Attributes ports(*protocol);
  return Tuple{Address(family, source), port_of(ports, CTA_PROTO_SRC_PORT),
               Address(family, destination), port_of(ports, CTA_PROTO_DST_PORT)};
}

}  // namespace

Result<Flow> Look::find(const Tuple& tuple) {
  const Family family = tuple.source.family();
  // The kernel looks the tuple up in either direction (ctnetlink_get_conntrack).
  netlink::Message request(netlink::conntrack_message(IPCTNL_MSG_CT_GET),
                           netlink::nf_family(family), 0);
  put_tuple(request, tuple);
  std::optional<Flow> flow;
  const Status asked = netlink_.ask(request, [&](const nlmsghdr& message) {
    const auto original = tuple_of(message, CTA_TUPLE_ORIG, family);
    const auto reply = tuple_of(message, CTA_TUPLE_REPLY, family);
    if (original && reply) flow = Flow{*original, *reply};
  });
  if (!asked) return asked.error();
  if (!flow) return Error{ErrorKind::kAbsent, "no such connection"};
  return *flow;
}

Result<Statistics> Look::statistics() {
  netlink::Message request(netlink::conntrack_message(IPCTNL_MSG_CT_GET_STATS_CPU), AF_UNSPEC, 0);
  Statistics all;
  const Status read = netlink_.dump(request, [&](const nlmsghdr& message) {
    const netlink::Attributes of_cpu(message);
    all.invalid += of_cpu.be32(CTA_STATS_INVALID);
    all.dropped += of_cpu.be32(CTA_STATS_DROP);
    all.early_drops += of_cpu.be32(CTA_STATS_EARLY_DROP);
  });
  if (!read) return read.error();
  return all;
}

}  // namespace nmanager::conntrack
