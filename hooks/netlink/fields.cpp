#include "hooks/netlink/fields.h"

#include <libmnl/libmnl.h>

#include <endian.h>
#include <algorithm>
#include <cstring>

namespace nmanager::netlink {

namespace {

template <class Number>
std::optional<Number> number(std::span<const std::uint8_t> bytes) {
  Number value = 0;
  if (bytes.size() != sizeof value) return std::nullopt;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

}  // namespace

Fields::Fields(const Attributes& attributes) {
  attributes.for_each([&](const nlattr& attribute) {
    const std::size_t type = mnl_attr_get_type(&attribute);
    other_ = other_ || type >= kTypes || at_[type] != nullptr;
    if (!other_) at_[type] = &attribute;
  });
}

bool Fields::are(std::initializer_list<int> required, std::initializer_list<int> optional) const {
  const auto present = [&](int type) { return has(type); };
  const auto count = std::ranges::count_if(at_, [](const nlattr* at) { return at != nullptr; });
  return !other_ && std::ranges::all_of(required, present) &&
         count == static_cast<std::ptrdiff_t>(required.size()) +
                      std::ranges::count_if(optional, present);
}

std::optional<std::uint32_t> Fields::be32(int type) const {
  const auto value = number<std::uint32_t>(bytes(type));
  return value ? std::optional(be32toh(*value)) : std::nullopt;
}

std::optional<std::uint64_t> Fields::be64(int type) const {
  const auto value = number<std::uint64_t>(bytes(type));
  return value ? std::optional(be64toh(*value)) : std::nullopt;
}

std::string_view Fields::text(int type) const {
  const auto value = bytes(type);
  const auto end = std::ranges::find(value, std::uint8_t{0});
  if (end == value.end()) return {};
  return {reinterpret_cast<const char*>(value.data()),
          static_cast<std::size_t>(end - value.begin())};
}

std::span<const std::uint8_t> Fields::bytes(int type) const {
  const nlattr* const at = at_[static_cast<std::size_t>(type)];
  return at == nullptr ? std::span<const std::uint8_t>() : payload_of(*at);
}

std::optional<Attributes> Fields::attributes(int type) const {
  const nlattr* const at = at_[static_cast<std::size_t>(type)];
  return at == nullptr ? std::nullopt : std::optional(Attributes(*at));
}

Fields Fields::nest(int type) const {
  const auto inner = attributes(type);
  return inner ? Fields(*inner) : Fields();
}

}  // namespace nmanager::netlink
