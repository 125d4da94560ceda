#include "hooks/conntrack/forget_flows.h"

#include <ifaddrs.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "hooks/netlink/message.h"
#include "hooks/netlink/socket.h"

namespace nmanager::conntrack {

namespace {

template <auto Free>
struct Deleter {
  template <class T>
  void operator()(T* pointer) const {
    Free(pointer);
  }
};
using Entry = std::unique_ptr<nf_conntrack, Deleter<&nfct_destroy>>;

// Bits of CTA_FILTER_ORIG_FLAGS: not in a public header, but part of the kernel's interface
// (net/netfilter/nf_internals.h; libnetfilter_conntrack 1.1.0 has them).
constexpr std::uint32_t kFilterDestination = 1U << 1;
constexpr std::uint32_t kFilterProtocol = 1U << 3;

/// A kernel without ctnetlink returns EINVAL (nfnetlink.c, nfnetlink_rcv_msg), a kernel without
/// this family EOPNOTSUPP.
Error conntrack_error(const Error& error) {
  const bool refused = error.kind == ErrorKind::kUnavailable || error.kind == ErrorKind::kAbsent;
  return {refused ? ErrorKind::kUnsupported : error.kind,
          "conntrack entries of UDP flows: " + error.message};
}

std::uint8_t netlink_family(Family family) {
  return family == Family::kIpv4 ? AF_INET : AF_INET6;
}

std::set<Address> local_addresses(Family family) {
  std::set<Address> result;
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return result;
  const std::unique_ptr<ifaddrs, Deleter<&::freeifaddrs>> owned(list);
  for (const ifaddrs* one = list; one != nullptr; one = one->ifa_next) {
    if (one->ifa_addr == nullptr || one->ifa_addr->sa_family != netlink_family(family)) continue;
    std::array<std::uint8_t, 16> bytes{};
    if (family == Family::kIpv4) {
      std::memcpy(bytes.data(), &reinterpret_cast<sockaddr_in*>(one->ifa_addr)->sin_addr, 4);
    } else {
      std::memcpy(bytes.data(), &reinterpret_cast<sockaddr_in6*>(one->ifa_addr)->sin6_addr, 16);
    }
    result.insert(Address(family, bytes));
  }
  return result;
}

/// Collects the stale entries from one dump.
struct Search {
  Family family;
  const UdpChange& change;
  std::set<Address> local;
  struct Found {
    Entry entry;
    Address external;
  };
  std::vector<Found> found{};

  [[nodiscard]] bool is_external(const Address& address) const {
    return change.before.may_have(address) || change.after.may_have(address);
  }

  [[nodiscard]] Address address_of(const nf_conntrack* entry, nf_conntrack_attr v4,
                                   nf_conntrack_attr v6) const {
    std::array<std::uint8_t, 16> bytes{};
    const void* raw = nfct_get_attr(entry, family == Family::kIpv4 ? v4 : v6);
    if (raw != nullptr) std::memcpy(bytes.data(), raw, family == Family::kIpv4 ? 4 : 16);
    return {family, bytes};
  }

  [[nodiscard]] UdpFlow flow_of(const nf_conntrack* entry) const {
    UdpFlow flow;
    flow.source = address_of(entry, ATTR_ORIG_IPV4_SRC, ATTR_ORIG_IPV6_SRC);
    flow.destination = address_of(entry, ATTR_ORIG_IPV4_DST, ATTR_ORIG_IPV6_DST);
    flow.port = ntohs(nfct_get_attr_u16(entry, ATTR_ORIG_PORT_DST));
    flow.translated = (nfct_get_attr_u32(entry, ATTR_STATUS) & IPS_DST_NAT) != 0;
    flow.reply_source = address_of(entry, ATTR_REPL_IPV4_SRC, ATTR_REPL_IPV6_SRC);
    if (begun_by_reply(entry)) {
      const Address endpoint = flow.source;
      flow.source = flow.reply_source;
      flow.destination = address_of(entry, ATTR_REPL_IPV4_DST, ATTR_REPL_IPV6_DST);
      flow.port = ntohs(nfct_get_attr_u16(entry, ATTR_REPL_PORT_DST));
      flow.reply_source = endpoint;
    }
    flow.source_is_local = local.contains(flow.source);
    return flow;
  }

  /// An endpoint's answer, whose flow had no entry any more: IPVS expects the client's packets, to
  /// the external address, as its replies (ip_vs_update_conntrack). No rule changed the source, and
  /// it is not the external address that sends.
  [[nodiscard]] bool begun_by_reply(const nf_conntrack* entry) const {
    if ((nfct_get_attr_u32(entry, ATTR_STATUS) & IPS_NAT_MASK) != 0) return false;
    const Address sender = address_of(entry, ATTR_ORIG_IPV4_SRC, ATTR_ORIG_IPV6_SRC);
    const Address expected = address_of(entry, ATTR_REPL_IPV4_DST, ATTR_REPL_IPV6_DST);
    return sender != expected && is_external(expected);
  }
};

/// Whether the tuple's destination is one of the external addresses.
bool is_aimed(const nlattr* tuple, const Search& search) {
  if (tuple == nullptr) return false;
  const nlattr* const ip = netlink::Attributes(*tuple).find(CTA_TUPLE_IP);
  if (ip == nullptr) return false;
  const bool v4 = search.family == Family::kIpv4;
  const auto to = netlink::Attributes(*ip).bytes(v4 ? CTA_IP_V4_DST : CTA_IP_V6_DST);
  return to.size() == (v4 ? 4U : 16U) && search.is_external({search.family, to});
}

/// Most entries have nothing to do with an external address, and parsing a whole entry takes ten
/// times as long.
void take(const nlmsghdr& message, Search& search) {
  const netlink::Attributes attributes(message);
  if (!is_aimed(attributes.find(CTA_TUPLE_ORIG), search) &&
      !is_aimed(attributes.find(CTA_TUPLE_REPLY), search)) {
    return;
  }
  Entry entry(nfct_new());
  if (!entry || nfct_nlmsg_parse(&message, entry.get()) < 0) return;
  if (nfct_get_attr_u8(entry.get(), ATTR_ORIG_L4PROTO) != IPPROTO_UDP) return;
  const UdpFlow flow = search.flow_of(entry.get());
  if (is_stale(search.change, flow)) search.found.push_back({std::move(entry), flow.destination});
}

/// Only entries whose tuple of that kind (CTA_TUPLE_ORIG or CTA_TUPLE_REPLY) has this destination.
struct Narrowed {
  std::uint16_t tuple;
  Address destination;
};

void put_destination(netlink::Message& message, const Address& destination) {
  nlattr* const ip = message.begin(CTA_TUPLE_IP);
  message.bytes(CTA_IP_V4_DST, destination.bytes());
  message.end(ip);
}

void put_flags(netlink::Message& message, std::uint16_t type, std::uint32_t flags) {
  message.bytes(type, {reinterpret_cast<const std::uint8_t*>(&flags), sizeof flags});  // host order
}

/// Requests only UDP entries.
void put_filter(netlink::Message& message, const std::optional<Narrowed>& narrowed) {
  const bool original = narrowed && narrowed->tuple == CTA_TUPLE_ORIG;
  const bool reply = narrowed && narrowed->tuple == CTA_TUPLE_REPLY;
  nlattr* const tuple = message.begin(CTA_TUPLE_ORIG);
  if (original) put_destination(message, narrowed->destination);
  nlattr* const protocol = message.begin(CTA_TUPLE_PROTO);
  const std::uint8_t udp = IPPROTO_UDP;
  message.bytes(CTA_PROTO_NUM, {&udp, 1});
  message.end(protocol);
  message.end(tuple);
  if (reply) {
    nlattr* const expected = message.begin(CTA_TUPLE_REPLY);
    put_destination(message, narrowed->destination);
    message.end(expected);
  }
  nlattr* const filter = message.begin(CTA_FILTER);
  put_flags(message, CTA_FILTER_ORIG_FLAGS, kFilterProtocol | (original ? kFilterDestination : 0));
  if (reply) put_flags(message, CTA_FILTER_REPLY_FLAGS, kFilterDestination);
  message.end(filter);
}

Status dump(netlink::Netlink& netlink, Search& search, const std::optional<Narrowed>& narrowed) {
  netlink::Message request(netlink::conntrack_message(IPCTNL_MSG_CT_GET),
                           netlink_family(search.family), 0);
  put_filter(request, narrowed);
  return netlink.dump(request, [&](const nlmsghdr& message) { take(message, search); });
}

/// A single IPv4 address is asked for by both tuples. The filter for an IPv6 address is inverted in
/// Linux: it omits the equal entries (ctnetlink_filter_match_tuple, 6.18).
Status dump(netlink::Netlink& netlink, Search& search) {
  const auto one = search.change.only_external();
  if (!one || search.family == Family::kIpv6) return dump(netlink, search, std::nullopt);
  if (Status read = dump(netlink, search, Narrowed{CTA_TUPLE_ORIG, *one}); !read) return read;
  return dump(netlink, search, Narrowed{CTA_TUPLE_REPLY, *one});
}

/// False: it was not deleted, because the flow has already ended.
bool forget(netlink::Netlink& netlink, Family family, const nf_conntrack* entry) {
  netlink::Message request(netlink::conntrack_message(IPCTNL_MSG_CT_DELETE), netlink_family(family),
                           NLM_F_ACK);
  if (nfct_nlmsg_build(request.header(), entry) < 0) return false;
  return netlink.ask(request, [](const nlmsghdr&) {}).ok();
}

}  // namespace

Result<std::vector<Address>> forget_udp_flows(Family family, const UdpChange& change) {
  std::vector<Address> forgotten;
  if (change.empty()) return forgotten;
  Search search{family, change, local_addresses(family)};
  netlink::Netlink netlink;
  if (const Status read = dump(netlink, search); !read) return conntrack_error(read.error());
  for (const Search::Found& one : search.found) {
    if (forget(netlink, family, one.entry.get())) forgotten.push_back(one.external);
  }
  return forgotten;
}

}  // namespace nmanager::conntrack
