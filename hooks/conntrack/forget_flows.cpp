#include "hooks/conntrack/forget_flows.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack.h>
#include <netinet/in.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <vector>

namespace nmanager {

namespace {

template <auto Free>
struct Deleter {
  template <class T>
  void operator()(T* pointer) const {
    Free(pointer);
  }
};
using Socket = std::unique_ptr<nfct_handle, Deleter<&nfct_close>>;
using Entry = std::unique_ptr<nf_conntrack, Deleter<&nfct_destroy>>;

std::set<Address> local_addresses(Family family) {
  std::set<Address> result;
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return result;
  const std::unique_ptr<ifaddrs, Deleter<&::freeifaddrs>> owned(list);
  const int wanted = family == Family::kIpv4 ? AF_INET : AF_INET6;
  for (const ifaddrs* one = list; one != nullptr; one = one->ifa_next) {
    if (one->ifa_addr == nullptr || one->ifa_addr->sa_family != wanted) continue;
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

/// One dump: collects the entries that are meant.
struct Search {
  Family family;
  const std::set<UdpTarget>& targets;
  const std::optional<Prefix>& pod_cidr;
  std::set<Address> local;
  std::vector<Entry> found;

  [[nodiscard]] Address address_of(const nf_conntrack* entry, nf_conntrack_attr v4,
                                   nf_conntrack_attr v6) const {
    std::array<std::uint8_t, 16> bytes{};
    const void* raw = nfct_get_attr(entry, family == Family::kIpv4 ? v4 : v6);
    if (raw != nullptr) std::memcpy(bytes.data(), raw, family == Family::kIpv4 ? 4 : 16);
    return {family, bytes};
  }

  [[nodiscard]] bool means(const nf_conntrack* entry) const {
    if (nfct_get_attr_u8(entry, ATTR_ORIG_L4PROTO) != IPPROTO_UDP) return false;
    const Address destination = address_of(entry, ATTR_ORIG_IPV4_DST, ATTR_ORIG_IPV6_DST);
    const std::uint16_t port = ntohs(nfct_get_attr_u16(entry, ATTR_ORIG_PORT_DST));
    const bool aimed = std::ranges::any_of(targets, [&](const UdpTarget& target) {
      return target.external == destination && target.ports.first <= port &&
             port <= target.ports.last;
    });
    if (!aimed) return false;
    const Address source = address_of(entry, ATTR_ORIG_IPV4_SRC, ATTR_ORIG_IPV6_SRC);
    return local.contains(source) || (pod_cidr && pod_cidr->contains(source));
  }
};

int on_entry(nf_conntrack_msg_type /*type*/, nf_conntrack* entry, void* data) {
  auto& search = *static_cast<Search*>(data);
  if (search.means(entry)) search.found.emplace_back(nfct_clone(entry));
  return NFCT_CB_CONTINUE;
}

Error conntrack_error(const char* what, int error) {
  const ErrorKind kind = error == EPERM ? ErrorKind::kDenied : ErrorKind::kUnsupported;
  return {kind,
          std::string("conntrack entries of UDP flows: ") + what + ": " + std::strerror(error)};
}

}  // namespace

Result<std::size_t> forget_udp_flows(Family family, const std::set<UdpTarget>& targets,
                                     const std::optional<Prefix>& pod_cidr) {
  const Socket socket(nfct_open(CONNTRACK, 0));
  if (!socket) return conntrack_error("opening", errno);
  Search search{family, targets, pod_cidr, local_addresses(family), {}};
  nfct_callback_register(socket.get(), NFCT_T_ALL, &on_entry, &search);
  std::uint32_t number = family == Family::kIpv4 ? AF_INET : AF_INET6;
  if (nfct_query(socket.get(), NFCT_Q_DUMP, &number) != 0) {
    return conntrack_error("reading", errno);
  }
  nfct_callback_unregister(socket.get());
  std::size_t deleted = 0;
  for (const Entry& entry : search.found) {
    if (nfct_query(socket.get(), NFCT_Q_DESTROY, entry.get()) == 0) ++deleted;
    // Else it has ended by itself.
  }
  return deleted;
}

}  // namespace nmanager
