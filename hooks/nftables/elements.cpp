#include "hooks/nftables/codec.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_tables.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

#include "hooks/netlink/fields.h"

namespace nmanager::nftables {

namespace {

/// Type numbers by which nft knows how to print keys and data (nftables, include/datatype.h).
enum Type : std::uint32_t { kIpv4Address = 7, kIpv6Address = 8, kProtocol = 12, kService = 13 };
constexpr std::uint32_t kTypeBits = 6;  // a concatenation's type: its fields' types, six bits each

std::uint32_t address_type(Family family) {
  return family == Family::kIpv4 ? kIpv4Address : kIpv6Address;
}

std::size_t address_size(Family family) {
  return family == Family::kIpv4 ? 4 : 16;
}

/// The fields of a key, each padded to four bytes.
struct Field {
  std::uint32_t type = 0;
  std::uint32_t size = 0;
};
/// Calls `take` for each in order.
template <class Take>
void each_field(const SetId& id, Take&& take) {
  const Field address{address_type(id.family), static_cast<std::uint32_t>(address_size(id.family))};
  take(address);
  if (id.kind == SetKind::kRestricted) take(address);
  if (id.by == MatchBy::kAddress) return;
  take(Field{kProtocol, 1});
  take(Field{kService, 2});
}

constexpr std::uint32_t padded(std::uint32_t size) {
  return (size + 3) / 4 * 4;
}

constexpr std::size_t kLongestKey = 16 + 16 + 4 + 4;
struct Key {
  std::array<std::uint8_t, kLongestKey> bytes{};
  std::size_t size = 0;

  void add(std::span<const std::uint8_t> field) {
    std::copy(field.begin(), field.end(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
    size += padded(static_cast<std::uint32_t>(field.size()));
  }
  [[nodiscard]] std::span<const std::uint8_t> view() const { return {bytes.data(), size}; }
};

Key key_of(const SetId& id, const Element& element, bool last) {
  Key key;
  if (id.kind == SetKind::kRestricted)
    key.add((last ? element.source.last() : element.source.address()).bytes());
  key.add(element.external.bytes());
  if (id.by == MatchBy::kAddress) return key;
  const auto protocol = static_cast<std::uint8_t>(element.protocol);
  key.add({&protocol, 1});
  const std::array<std::uint8_t, 2> port{static_cast<std::uint8_t>(element.port >> 8),
                                         static_cast<std::uint8_t>(element.port & 0xff)};
  key.add(port);
  return key;
}

void put_value(netlink::Message& message, int attribute, std::span<const std::uint8_t> value) {
  nlattr* const nest = message.begin(attribute);
  message.bytes(NFTA_DATA_VALUE, value);
  message.end(nest);
}

/// Empty: absent.
std::span<const std::uint8_t> value_of(const netlink::Fields& element, int attribute) {
  const auto nest = element.attributes(attribute);
  return nest ? nest->bytes(NFTA_DATA_VALUE) : std::span<const std::uint8_t>();
}

/// The prefix from `first` to `last`; nullopt: they are not the ends of a prefix.
std::optional<Prefix> prefix_between(const Address& first, const Address& last) {
  for (int length = 0; length <= address_bits(first.family()); ++length) {
    const Prefix prefix(first, length);
    if (prefix.address() == first && prefix.last() == last) return prefix;
  }
  return std::nullopt;
}

}  // namespace

SetShape shape_of(const SetId& id) {
  SetShape shape;
  each_field(id, [&](const Field& field) {
    shape.key_type = shape.key_type << kTypeBits | field.type;
    shape.key_size += padded(field.size);
  });
  if (id.kind == SetKind::kRestricted) shape.flags = NFT_SET_INTERVAL | NFT_SET_CONCAT;
  if (id.kind == SetKind::kCluster) {
    shape.flags = NFT_SET_MAP;
    shape.data_type = address_type(id.family);
    shape.data_size = static_cast<std::uint32_t>(address_size(id.family));
  }
  return shape;
}

SetShape read_shape(const netlink::Attributes& set) {
  return {set.be32(NFTA_SET_FLAGS), set.be32(NFTA_SET_KEY_TYPE), set.be32(NFTA_SET_KEY_LEN),
          set.be32(NFTA_SET_DATA_TYPE), set.be32(NFTA_SET_DATA_LEN)};
}

void put_shape(netlink::Message& message, const SetId& id, std::uint32_t number) {
  const SetShape shape = shape_of(id);
  message.be32(NFTA_SET_ID, number)
      .be32(NFTA_SET_FLAGS, shape.flags)
      .be32(NFTA_SET_KEY_TYPE, shape.key_type)
      .be32(NFTA_SET_KEY_LEN, shape.key_size);
  if (id.kind == SetKind::kCluster) {
    message.be32(NFTA_SET_DATA_TYPE, shape.data_type).be32(NFTA_SET_DATA_LEN, shape.data_size);
  }
  if (id.kind != SetKind::kRestricted) return;
  // Ranges of concatenated keys need to know where the fields end.
  nlattr* const description = message.begin(NFTA_SET_DESC);
  nlattr* const concatenation = message.begin(NFTA_SET_DESC_CONCAT);
  each_field(id, [&](const Field& field) {
    nlattr* const one = message.begin(NFTA_LIST_ELEM);
    message.be32(NFTA_SET_FIELD_LEN, field.size);
    message.end(one);
  });
  message.end(concatenation);
  message.end(description);
}

void put_element(netlink::Message& message, const SetId& id, const Element& element) {
  nlattr* const nest = message.begin(NFTA_LIST_ELEM);
  put_value(message, NFTA_SET_ELEM_KEY, key_of(id, element, false).view());
  if (id.kind == SetKind::kRestricted) {
    put_value(message, NFTA_SET_ELEM_KEY_END, key_of(id, element, true).view());
  }
  if (id.kind == SetKind::kCluster) {
    put_value(message, NFTA_SET_ELEM_DATA, element.to.bytes());
    if (!element.owner.empty()) {
      message.bytes(NFTA_SET_ELEM_USERDATA, comment_data(element.owner));
    }
  }
  message.end(nest);
}

std::optional<Element> read_element(const SetId& id, const nlattr& nest) {
  const netlink::Fields attributes{netlink::Attributes(nest)};
  if (attributes.be32(NFTA_SET_ELEM_FLAGS).value_or(0) != 0) return std::nullopt;
  for (const int more : {NFTA_SET_ELEM_TIMEOUT, NFTA_SET_ELEM_EXPIRATION, NFTA_SET_ELEM_EXPR}) {
    if (attributes.has(more)) return std::nullopt;
  }
  const auto key = value_of(attributes, NFTA_SET_ELEM_KEY);
  if (key.size() != shape_of(id).key_size) return std::nullopt;
  Element element;
  const std::size_t size = address_size(id.family);
  std::size_t at = 0;
  if (id.kind == SetKind::kRestricted) {
    const auto last = value_of(attributes, NFTA_SET_ELEM_KEY_END);
    if (last.size() != key.size()) return std::nullopt;
    const auto source = prefix_between({id.family, key.first(size)}, {id.family, last.first(size)});
    if (!source || !std::ranges::equal(key.subspan(size), last.subspan(size))) return std::nullopt;
    element.source = *source;
    at = size;
  }
  element.external = Address(id.family, key.subspan(at, size));
  at += size;
  if (id.by == MatchBy::kPort) {
    element.protocol = static_cast<Protocol>(key[at]);
    element.port = static_cast<std::uint16_t>(key[at + 4] << 8 | key[at + 5]);
  }
  if (id.kind == SetKind::kCluster) {
    const auto data = value_of(attributes, NFTA_SET_ELEM_DATA);
    if (data.size() != size) return std::nullopt;
    element.to = Address(id.family, data);
    element.owner = comment_of(attributes.bytes(NFTA_SET_ELEM_USERDATA));
  }
  return element;
}

}  // namespace nmanager::nftables
