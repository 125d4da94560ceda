#include "plugin/neighbour/routes.h"

#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <array>
#include <cerrno>
#include <map>
#include <memory>
#include <span>
#include <string>

namespace nmanager::neighbour {

namespace {

/// A full Internet routing table is not read for a diagnosis.
constexpr std::size_t kMostMessages = 100'000;

struct CloseSocket {
  void operator()(mnl_socket* socket) const { mnl_socket_close(socket); }
};
using Socket = std::unique_ptr<mnl_socket, CloseSocket>;

Socket open_socket() {
  Socket socket(mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC));
  if (!socket || mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) < 0) return nullptr;
  // A dump answers at once; a lost answer must not hang us.
  const timeval second{1, 0};
  if (setsockopt(mnl_socket_get_fd(socket.get()), SOL_SOCKET, SO_RCVTIMEO, &second,
                 sizeof second) != 0) {
    return nullptr;
  }
  return socket;
}

bool send_dump_request(mnl_socket* socket, Family family) {
  std::array<char, 256> buffer{};
  nlmsghdr* header = mnl_nlmsg_put_header(buffer.data());
  header->nlmsg_type = RTM_GETROUTE;
  header->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  header->nlmsg_seq = 1;
  auto* route = static_cast<rtmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(rtmsg)));
  route->rtm_family = family == Family::kIpv4 ? AF_INET : AF_INET6;
  return mnl_socket_sendto(socket, header, header->nlmsg_len) >= 0;
}

struct Attributes {
  const nlattr* destination = nullptr;
  std::uint32_t table = 0;
  unsigned device = 0;
  bool gateway = false;
};

int take_attribute(const nlattr* attribute, void* data) {
  auto& found = *static_cast<Attributes*>(data);
  const bool holds_u32 = mnl_attr_get_payload_len(attribute) >= sizeof(std::uint32_t);
  switch (mnl_attr_get_type(attribute)) {
    case RTA_DST:
      found.destination = attribute;
      break;
    case RTA_OIF:
      if (holds_u32) found.device = mnl_attr_get_u32(attribute);
      break;
    case RTA_TABLE:
      if (holds_u32) found.table = mnl_attr_get_u32(attribute);
      break;
    case RTA_GATEWAY:
    case RTA_VIA:
    case RTA_MULTIPATH:
      found.gateway = true;
      break;
    default:
      break;
  }
  return MNL_CB_OK;
}

/// Collects from the messages of one dump.
struct Collector {
  Family family;
  std::size_t most;
  std::vector<PodRoute>& routes;
  std::map<unsigned, std::string> names{};  // of devices; "": gone, or not a pod's
  std::size_t messages = 0;
  bool overflow = false;

  const std::string& pod_device(unsigned index) {
    const auto [entry, is_new] = names.try_emplace(index);
    std::array<char, IF_NAMESIZE> name{};
    if (is_new && ::if_indextoname(index, name.data()) != nullptr && is_pod_device(name.data())) {
      entry->second = name.data();
    }
    return entry->second;
  }

  void take(const nlmsghdr* header) {
    if (header->nlmsg_type != RTM_NEWROUTE || mnl_nlmsg_get_payload_len(header) < sizeof(rtmsg)) {
      return;
    }
    const auto* route = static_cast<const rtmsg*>(mnl_nlmsg_get_payload(header));
    Attributes found;
    found.table = route->rtm_table;
    if (mnl_attr_parse(header, sizeof(rtmsg), take_attribute, &found) < 0) return;
    if (route->rtm_type != RTN_UNICAST || found.table != RT_TABLE_MAIN || found.gateway) return;
    if (found.destination == nullptr || found.device == 0) return;
    const std::size_t bytes = static_cast<std::size_t>(address_bits(family)) / 8;
    if (mnl_attr_get_payload_len(found.destination) != bytes) return;
    const std::span<const std::uint8_t> raw(
        static_cast<const std::uint8_t*>(mnl_attr_get_payload(found.destination)), bytes);
    const Address address(family, raw);
    if (address.is_link_local() || address.is_multicast()) return;
    const std::string& device = pod_device(found.device);
    if (device.empty()) return;
    if (routes.size() >= most) {
      overflow = true;
      return;
    }
    routes.push_back({Prefix(address, route->rtm_dst_len), device});
  }
};

int take_message(const nlmsghdr* header, void* data) {
  auto& collector = *static_cast<Collector*>(data);
  if (++collector.messages > kMostMessages) collector.overflow = true;
  if (!collector.overflow) collector.take(header);
  return collector.overflow ? MNL_CB_STOP : MNL_CB_OK;
}

}  // namespace

bool add_pod_routes(Family family, std::size_t most, std::vector<PodRoute>& routes) {
  const Socket socket = open_socket();
  if (!socket || !send_dump_request(socket.get(), family)) return false;
  const unsigned port = mnl_socket_get_portid(socket.get());
  std::array<char, 32 * 1024> buffer{};
  Collector collector{family, most, routes};
  while (true) {
    const ssize_t got = mnl_socket_recvfrom(socket.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return false;
    const int more =
        mnl_cb_run(buffer.data(), static_cast<std::size_t>(got), 1, port, take_message, &collector);
    if (more < 0) return errno == EAFNOSUPPORT || errno == EOPNOTSUPP;
    if (more == MNL_CB_STOP) return !collector.overflow;
  }
}

}  // namespace nmanager::neighbour
