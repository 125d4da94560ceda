#include "plugin/neighbour/routes.h"

#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <map>
#include <span>
#include <string>

#include "hooks/netlink/message.h"
#include "hooks/netlink/socket.h"

namespace nmanager::neighbour {

namespace {

/// The limit avoids reading a full Internet routing table for a diagnosis.
constexpr std::size_t kMostMessages = 100'000;

struct RouteAttributes {
  std::span<const std::uint8_t> destination;
  std::uint32_t table = 0;
  unsigned device = 0;
  bool gateway = false;
};

int take_attribute(const nlattr* attribute, void* data) {
  auto& found = *static_cast<RouteAttributes*>(data);
  const bool holds_u32 = mnl_attr_get_payload_len(attribute) >= sizeof(std::uint32_t);
  switch (mnl_attr_get_type(attribute)) {
    case RTA_DST:
      found.destination = netlink::payload_of(*attribute);
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

/// Collects the pod routes from the messages of one dump.
struct Collector {
  Family family;
  std::size_t most;
  std::vector<PodRoute>& routes;
  std::map<unsigned, std::string> names{};  // of devices; "": gone, or not a pod device
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
    if (++messages > kMostMessages) overflow = true;
    if (overflow || header->nlmsg_type != RTM_NEWROUTE ||
        mnl_nlmsg_get_payload_len(header) < sizeof(rtmsg)) {
      return;
    }
    const auto* route = static_cast<const rtmsg*>(mnl_nlmsg_get_payload(header));
    RouteAttributes found;
    found.table = route->rtm_table;
    if (mnl_attr_parse(header, sizeof(rtmsg), take_attribute, &found) < 0) return;
    if (route->rtm_type != RTN_UNICAST || found.table != RT_TABLE_MAIN || found.gateway) return;
    const std::size_t bytes = static_cast<std::size_t>(address_bits(family)) / 8;
    if (found.destination.size() != bytes || found.device == 0) return;
    const Address address(family, found.destination);
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

}  // namespace

bool add_pod_routes(Family family, std::size_t most, std::vector<PodRoute>& routes) {
  alignas(nlmsghdr) std::array<char, 256> buffer{};
  nlmsghdr* const request = mnl_nlmsg_put_header(buffer.data());
  request->nlmsg_type = RTM_GETROUTE;
  request->nlmsg_flags = NLM_F_REQUEST;
  auto* const route = static_cast<rtmsg*>(mnl_nlmsg_put_extra_header(request, sizeof(rtmsg)));
  route->rtm_family = family == Family::kIpv4 ? AF_INET : AF_INET6;
  Collector collector{family, most, routes};
  netlink::Netlink socket(NETLINK_ROUTE);
  const Status read =
      socket.dump(*request, [&](const nlmsghdr& message) { collector.take(&message); });
  if (!read) return read.error().kind == ErrorKind::kUnsupported;  // a kernel without the family
  return !collector.overflow;
}

}  // namespace nmanager::neighbour
