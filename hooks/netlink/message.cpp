#include "hooks/netlink/message.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>

#include <endian.h>
#include <cstdint>
#include <cstring>
#include <string>

namespace nmanager::netlink {

std::uint8_t nf_family(Family family) {
  return family == Family::kIpv4 ? NFPROTO_IPV4 : NFPROTO_IPV6;
}

int conntrack_message(int message) {
  return NFNL_SUBSYS_CTNETLINK << 8 | message;
}

Message::Message(int type, std::uint8_t family, int flags) {
  nlmsghdr* const nlh = mnl_nlmsg_put_header(room_.data());
  if (type < 0x100) type |= NFNL_SUBSYS_NFTABLES << 8;
  nlh->nlmsg_type = static_cast<std::uint16_t>(type);
  nlh->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
  auto* const generic = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(nlh, sizeof(nfgenmsg)));
  generic->nfgen_family = family;
  generic->version = NFNETLINK_V0;
  generic->res_id = 0;
}

nlmsghdr* Message::header() {
  return reinterpret_cast<nlmsghdr*>(room_.data());
}

Message& Message::text(int attribute, std::string_view value) {
  mnl_attr_put_strz(header(), static_cast<std::uint16_t>(attribute), std::string(value).c_str());
  return *this;
}

Message& Message::be32(int attribute, std::uint32_t value) {
  mnl_attr_put_u32(header(), static_cast<std::uint16_t>(attribute), htonl(value));
  return *this;
}

Message& Message::be64(int attribute, std::uint64_t value) {
  mnl_attr_put_u64(header(), static_cast<std::uint16_t>(attribute), htobe64(value));
  return *this;
}

Message& Message::bytes(int attribute, std::span<const std::uint8_t> value) {
  mnl_attr_put(header(), static_cast<std::uint16_t>(attribute), value.size(), value.data());
  return *this;
}

nlattr* Message::begin(int attribute) {
  return mnl_attr_nest_start(header(), static_cast<std::uint16_t>(attribute));
}

void Message::end(nlattr* nest) {
  mnl_attr_nest_end(header(), nest);
}

std::span<const std::uint8_t> payload_of(const nlattr& attribute) {
  return {static_cast<const std::uint8_t*>(mnl_attr_get_payload(&attribute)),
          mnl_attr_get_payload_len(&attribute)};
}

const nlmsghdr* message_at(const char* bytes, std::size_t size) {
  if (size < sizeof(nlmsghdr)) return nullptr;
  const auto* const message = reinterpret_cast<const nlmsghdr*>(bytes);
  const bool whole = message->nlmsg_len >= sizeof(nlmsghdr) && message->nlmsg_len <= size;
  return whole ? message : nullptr;
}

std::size_t stride(const nlmsghdr& message) {
  return NLMSG_ALIGN(std::size_t{message.nlmsg_len});
}

Attributes::Attributes(const nlmsghdr& message) {
  if (message.nlmsg_len < NLMSG_HDRLEN + sizeof(nfgenmsg)) return;
  end_ = static_cast<const char*>(mnl_nlmsg_get_payload_tail(&message));
  first_ =
      checked(static_cast<const nlattr*>(mnl_nlmsg_get_payload_offset(&message, sizeof(nfgenmsg))));
}

Attributes::Attributes(const nlattr& nest) {
  const auto* const payload = static_cast<const char*>(mnl_attr_get_payload(&nest));
  end_ = payload + mnl_attr_get_payload_len(&nest);
  first_ = checked(reinterpret_cast<const nlattr*>(payload));
}

const nlattr* Attributes::checked(const nlattr* at) const {
  const auto room = end_ - reinterpret_cast<const char*>(at);
  return mnl_attr_ok(at, static_cast<int>(room)) ? at : nullptr;
}

const nlattr* Attributes::next(const nlattr* at) const {
  return checked(mnl_attr_next(at));
}

const nlattr* Attributes::find(int type) const {
  for (const nlattr* at = first_; at != nullptr; at = next(at)) {
    if (mnl_attr_get_type(at) == type) return at;
  }
  return nullptr;
}

std::string_view Attributes::text(int type) const {
  const nlattr* const at = find(type);
  if (at == nullptr) return {};
  const char* const value = mnl_attr_get_str(at);
  return {value, strnlen(value, mnl_attr_get_payload_len(at))};
}

std::uint32_t Attributes::be32(int type) const {
  const nlattr* const at = find(type);
  if (at == nullptr || mnl_attr_get_payload_len(at) < sizeof(std::uint32_t)) return 0;
  return ntohl(mnl_attr_get_u32(at));
}

std::uint64_t Attributes::be64(int type) const {
  const nlattr* const at = find(type);
  if (at == nullptr || mnl_attr_get_payload_len(at) < sizeof(std::uint64_t)) return 0;
  return be64toh(mnl_attr_get_u64(at));
}

std::span<const std::uint8_t> Attributes::bytes(int type) const {
  const nlattr* const at = find(type);
  return at == nullptr ? std::span<const std::uint8_t>() : payload_of(*at);
}

}  // namespace nmanager::netlink
