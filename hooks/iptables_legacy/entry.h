// Bounds-checked access to the bytes of one entry. No size field is trusted. Pure.
#pragma once

#include <linux/netfilter/x_tables.h>

#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>

namespace nmanager::iptables_legacy {

using Span = std::span<const std::uint8_t>;

/// A T from the front of `bytes`; nullopt if there are too few.
template <class T>
[[nodiscard]] std::optional<T> load(Span bytes) {
  static_assert(std::is_trivially_copyable_v<T>);
  if (bytes.size() < sizeof(T)) return std::nullopt;
  T value;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

/// A NUL-terminated name in a field of fixed size; the whole field if it has no NUL.
[[nodiscard]] inline std::string_view fixed_string(const char* field, std::size_t size) {
  return {field, strnlen(field, size)};
}

/// The offset of an entry's target, and of the end of the entry.
struct EntryFrame {
  std::uint16_t target_offset = 0;
  std::uint16_t next_offset = 0;
};

/// nullopt unless the frame is within `bytes`, is aligned and has room for a target's head.
template <class F>
[[nodiscard]] std::optional<EntryFrame> frame_of(Span bytes) {
  using Entry = typename F::Entry;
  constexpr std::size_t kAlign = alignof(_xt_align);
  if (bytes.size() < sizeof(Entry)) return std::nullopt;
  const auto target = load<std::uint16_t>(bytes.subspan(offsetof(Entry, target_offset)));
  const auto next = load<std::uint16_t>(bytes.subspan(offsetof(Entry, next_offset)));
  if (*target < sizeof(Entry) || *target % kAlign != 0 || *next % kAlign != 0) return std::nullopt;
  if (*next > bytes.size() || *target + sizeof(xt_entry_target) > *next) return std::nullopt;
  return EntryFrame{*target, *next};
}

/// A match or a target: both begin with size, name and revision.
struct ExtensionView {
  std::uint16_t size = 0;
  std::uint8_t revision = 0;
  std::string_view name;
  Span data;
};

/// The extension at `at`; nullopt unless it is within `bytes` and its size is aligned.
[[nodiscard]] inline std::optional<ExtensionView> extension_at(Span bytes, std::size_t at) {
  using Head = xt_entry_match;
  static_assert(sizeof(xt_entry_match) == sizeof(xt_entry_target));
  if (at > bytes.size() || bytes.size() - at < sizeof(Head)) return std::nullopt;
  const Span rest = bytes.subspan(at);
  const std::uint16_t size = *load<std::uint16_t>(rest);
  if (size < sizeof(Head) || size > rest.size() || size % alignof(_xt_align) != 0) {
    return std::nullopt;
  }
  constexpr std::size_t kName = offsetof(Head, u.user.name);
  return ExtensionView{
      size, rest[offsetof(Head, u.user.revision)],
      fixed_string(reinterpret_cast<const char*>(rest.data() + kName), XT_EXTENSION_MAXNAMELEN),
      rest.subspan(sizeof(Head), size - sizeof(Head))};
}

}  // namespace nmanager::iptables_legacy
