#include "hooks/iptables_legacy/entry_hash.h"

#include <cstdint>

#include "hooks/iptables_legacy/family.h"
#include "hooks/values/hash.h"

namespace nmanager::iptables_legacy {

namespace {

/// Only the name up to its NUL is hashed, because the kernel does not write the bytes after it.
std::uint64_t hash_extension(const ExtensionView& extension, Span data, std::uint64_t seed) {
  const std::uint64_t head = std::uint64_t{extension.size} << 8 | extension.revision;
  return hash_bytes(data, hash_bytes(extension.name, seed ^ head));
}

std::uint64_t hash_target(const ExtensionView& target, std::string_view jump_to,
                          std::uint64_t seed) {
  if (target.name == XT_STANDARD_TARGET) {
    const auto verdict = load<int>(target.data);
    if (verdict && *verdict >= 0) return hash_extension(target, {}, hash_bytes(jump_to, seed));
  }
  return hash_extension(target, target.data, seed);
}

}  // namespace

template <class F>
std::uint64_t hash_entry(Span entry, std::string_view jump_to, std::uint64_t seed) {
  const EntryFrame frame = *frame_of<F>(entry);
  std::uint64_t hash = hash_bytes(entry.first(offsetof(typename F::Entry, comefrom)), seed);
  std::size_t at = sizeof(typename F::Entry);
  while (at < frame.target_offset) {
    const auto match = extension_at(entry, at);
    if (!match) break;  // malformed: the remaining bytes are hashed as they are
    hash = hash_extension(*match, match->data, hash);
    at += match->size;
  }
  const auto target = at == frame.target_offset ? extension_at(entry, at) : std::nullopt;
  return target ? hash_target(*target, jump_to, hash) : hash_bytes(entry.subspan(at), hash);
}

template std::uint64_t hash_entry<Ipv4>(Span, std::string_view, std::uint64_t);
template std::uint64_t hash_entry<Ipv6>(Span, std::string_view, std::uint64_t);

}  // namespace nmanager::iptables_legacy
