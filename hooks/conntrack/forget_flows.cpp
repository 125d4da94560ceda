#include "hooks/conntrack/forget_flows.h"

#include <ifaddrs.h>
#include <libmnl/libmnl.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

namespace nmanager::conntrack {

namespace {

template <auto Free>
struct Deleter {
  template <class T>
  void operator()(T* pointer) const {
    Free(pointer);
  }
};
using Socket = std::unique_ptr<mnl_socket, Deleter<&mnl_socket_close>>;
using Handle = std::unique_ptr<nfct_handle, Deleter<&nfct_close>>;
using Entry = std::unique_ptr<nf_conntrack, Deleter<&nfct_destroy>>;

// Bits of CTA_FILTER_ORIG_FLAGS: in no public header, but part of the kernel's interface
// (net/netfilter/nf_internals.h; libnetfilter_conntrack 1.1.0 has them).
constexpr std::uint32_t kFilterDestination = 1U << 1;
constexpr std::uint32_t kFilterProtocol = 1U << 3;

Error conntrack_error(const char* what, int error) {
  const ErrorKind kind = error == EPERM ? ErrorKind::kDenied : ErrorKind::kUnsupported;
  return {kind,
          std::string("conntrack entries of UDP flows: ") + what + ": " + std::strerror(error)};
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

std::set<Address> external_addresses(const UdpChange& change) {
  std::set<Address> result;
  for (const UdpRules* rules : {&change.before, &change.after}) {
    for (const UdpRule& rule : *rules) result.insert(rule.external);
  }
  return result;
}

/// One dump: collects the stale entries.
struct Search {
  Family family;
  const UdpChange& change;
  std::set<Address> external;
  std::set<Address> local;
  std::vector<Entry> found{};

  [[nodiscard]] Address address_of(const nf_conntrack* entry, nf_conntrack_attr v4,
                                   nf_conntrack_attr v6) const {
    std::array<std::uint8_t, 16> bytes{};
    const void* raw = nfct_get_attr(entry, family == Family::kIpv4 ? v4 : v6);
    if (raw != nullptr) std::memcpy(bytes.data(), raw, family == Family::kIpv4 ? 4 : 16);
    return {family, bytes};
  }

  [[nodiscard]] bool is_meant(const nf_conntrack* entry) const {
    if (nfct_get_attr_u8(entry, ATTR_ORIG_L4PROTO) != IPPROTO_UDP) return false;
    UdpFlow flow;
    flow.source = address_of(entry, ATTR_ORIG_IPV4_SRC, ATTR_ORIG_IPV6_SRC);
    flow.source_is_local = local.contains(flow.source);
    flow.destination = address_of(entry, ATTR_ORIG_IPV4_DST, ATTR_ORIG_IPV6_DST);
    flow.port = ntohs(nfct_get_attr_u16(entry, ATTR_ORIG_PORT_DST));
    flow.translated = (nfct_get_attr_u32(entry, ATTR_STATUS) & IPS_DST_NAT) != 0;
    flow.reply_source = address_of(entry, ATTR_REPL_IPV4_SRC, ATTR_REPL_IPV6_SRC);
    return is_stale(change, flow);
  }
};

const nlattr* find_attribute(const nlattr* nest, int type) {
  const nlattr* found = nullptr;
  const auto* end =
      static_cast<const char*>(mnl_attr_get_payload(nest)) + mnl_attr_get_payload_len(nest);
  for (const auto* one = static_cast<const nlattr*>(mnl_attr_get_payload(nest));
       mnl_attr_ok(one, static_cast<int>(end - reinterpret_cast<const char*>(one)));
       one = mnl_attr_next(one)) {
    if (mnl_attr_get_type(one) == type) found = one;
  }
  return found;
}

/// Whether the flow is to one of the external addresses: most are not, and a whole entry takes ten
/// times as long to read.
bool is_aimed(const nlmsghdr* message, const Search& search) {
  const auto* tuple =
      static_cast<const nlattr*>(mnl_nlmsg_get_payload_offset(message, sizeof(nfgenmsg)));
  if (!mnl_attr_ok(tuple, static_cast<int>(mnl_nlmsg_get_payload_len(message))) ||
      mnl_attr_get_type(tuple) != CTA_TUPLE_ORIG) {
    return true;  // not as any kernel writes it: the whole entry will tell
  }
  const nlattr* const ip = find_attribute(tuple, CTA_TUPLE_IP);
  if (ip == nullptr) return false;
  const bool v4 = search.family == Family::kIpv4;
  const nlattr* const to = find_attribute(ip, v4 ? CTA_IP_V4_DST : CTA_IP_V6_DST);
  if (to == nullptr) return false;
  const std::span<const std::uint8_t> bytes(
      static_cast<const std::uint8_t*>(mnl_attr_get_payload(to)), mnl_attr_get_payload_len(to));
  return bytes.size() == (v4 ? 4U : 16U) && search.external.contains({search.family, bytes});
}

int on_message(const nlmsghdr* message, void* data) {
  auto& search = *static_cast<Search*>(data);
  if (!is_aimed(message, search)) return MNL_CB_OK;
  Entry entry(nfct_new());
  if (entry && nfct_nlmsg_parse(message, entry.get()) >= 0 && search.is_meant(entry.get())) {
    search.found.push_back(std::move(entry));
  }
  return MNL_CB_OK;
}

/// Entries of UDP only, and to one IPv4 address when there is only one. By an IPv6 address Linux
/// filters the wrong way round: it leaves out what is equal (ctnetlink_filter_match_tuple, 6.18).
void put_filter(nlmsghdr* message, const std::set<Address>& external) {
  const bool one = external.size() == 1 && external.begin()->family() == Family::kIpv4;
  nlattr* const tuple = mnl_attr_nest_start(message, CTA_TUPLE_ORIG);
  if (one) {
    const auto bytes = external.begin()->bytes();
    nlattr* const ip = mnl_attr_nest_start(message, CTA_TUPLE_IP);
    mnl_attr_put(message, CTA_IP_V4_DST, bytes.size(), bytes.data());
    mnl_attr_nest_end(message, ip);
  }
  nlattr* const protocol = mnl_attr_nest_start(message, CTA_TUPLE_PROTO);
  mnl_attr_put_u8(message, CTA_PROTO_NUM, IPPROTO_UDP);
  mnl_attr_nest_end(message, protocol);
  mnl_attr_nest_end(message, tuple);
  nlattr* const filter = mnl_attr_nest_start(message, CTA_FILTER);
  mnl_attr_put_u32(message, CTA_FILTER_ORIG_FLAGS,
                   kFilterProtocol | (one ? kFilterDestination : 0));
  mnl_attr_nest_end(message, filter);
}

Status dump(Search& search) {
  const Socket socket(mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC));
  if (!socket || mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) < 0) {
    return conntrack_error("opening", errno);
  }
  // A dump answers at once; a lost answer must not hang us.
  const timeval second{1, 0};
  (void)::setsockopt(mnl_socket_get_fd(socket.get()), SOL_SOCKET, SO_RCVTIMEO, &second,
                     sizeof second);
  std::array<char, 64 * 1024> buffer{};
  nlmsghdr* const request = mnl_nlmsg_put_header(buffer.data());
  request->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET;
  request->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  request->nlmsg_seq = 1;
  auto* const header =
      static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(request, sizeof(nfgenmsg)));
  header->nfgen_family = netlink_family(search.family);
  header->version = NFNETLINK_V0;
  put_filter(request, search.external);
  if (mnl_socket_sendto(socket.get(), request, request->nlmsg_len) < 0) {
    return conntrack_error("asking", errno);
  }
  const unsigned port = mnl_socket_get_portid(socket.get());
  while (true) {
    const ssize_t got = mnl_socket_recvfrom(socket.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    const int more = got < 0 ? -1
                             : mnl_cb_run(buffer.data(), static_cast<std::size_t>(got), 1, port,
                                          on_message, &search);
    if (more < 0) return conntrack_error("reading", errno);
    if (more == MNL_CB_STOP) return {};
  }
}

}  // namespace

Result<std::size_t> forget_udp_flows(Family family, const UdpChange& change) {
  if (change.empty()) return std::size_t{0};
  Search search{family, change, external_addresses(change), local_addresses(family)};
  if (const Status read = dump(search); !read) return read.error();
  if (search.found.empty()) return std::size_t{0};
  const Handle handle(nfct_open(CONNTRACK, 0));
  if (!handle) return conntrack_error("opening", errno);
  // One that cannot be deleted has ended by itself.
  return static_cast<std::size_t>(std::ranges::count_if(search.found, [&](const Entry& entry) {
    return nfct_query(handle.get(), NFCT_Q_DESTROY, entry.get()) == 0;
  }));
}

}  // namespace nmanager::conntrack
