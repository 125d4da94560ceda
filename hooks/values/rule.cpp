#include "hooks/values/rule.h"

#include <cstdint>

#include "hooks/values/hash.h"

namespace nmanager {

namespace {

void add(Hasher& hasher, const Address& address) {
  hasher.add(static_cast<std::uint64_t>(address.family()));
  hasher.add(address.bytes());
}

void add(Hasher& hasher, const std::optional<Prefix>& prefix) {
  hasher.add(prefix ? static_cast<std::uint64_t>(prefix->length()) + 1 : 0);
  if (prefix) add(hasher, prefix->address());
}

void add(Hasher& hasher, const Target& target) {
  hasher.add(static_cast<std::uint64_t>(target.index()));
  if (const auto* jump = std::get_if<Jump>(&target)) {
    hasher.add(jump->chain.view());
    hasher.add(std::uint64_t{jump->go_to});
  } else if (const auto* dnat = std::get_if<Dnat>(&target)) {
    add(hasher, dnat->to);
  } else if (const auto* mark = std::get_if<SetMark>(&target)) {
    hasher.add(std::uint64_t{mark->value} << 32 | mark->mask);
  }
}

}  // namespace

std::string_view to_string(Protocol protocol) {
  switch (protocol) {
    case Protocol::kAny:
      return "all";
    case Protocol::kTcp:
      return "tcp";
    case Protocol::kUdp:
      return "udp";
    case Protocol::kSctp:
      return "sctp";
  }
  return "?";
}

bool is_plain(const Rule& rule) {
  Rule bare;
  bare.target = rule.target;
  return std::holds_alternative<Jump>(rule.target) && rule == bare;
}

std::uint64_t hash_of(const Rule& rule) {
  Hasher hasher;
  add(hasher, rule.source);
  add(hasher, rule.destination);
  hasher.add(rule.in_interface);
  hasher.add(static_cast<std::uint64_t>(rule.protocol) | std::uint64_t{rule.source_is_local} << 8 |
             std::uint64_t{rule.state_invalid} << 9 |
             std::uint64_t{rule.destination_ports.size()} << 10);
  for (const PortRange& range : rule.destination_ports) {
    hasher.add(std::uint64_t{range.first} << 16 | range.last);
  }
  hasher.add(std::uint64_t{rule.tcp_flags.mask} << 8 | rule.tcp_flags.value);
  hasher.add(rule.comment);
  add(hasher, rule.target);
  return hasher.value();
}

}  // namespace nmanager
