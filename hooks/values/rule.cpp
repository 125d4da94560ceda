#include "hooks/values/rule.h"

#include "hooks/values/hash.h"

namespace nmanager {

namespace {

class Hasher {
 public:
  void add(std::uint64_t value) {
    state_ =
        hash_bytes(std::span(reinterpret_cast<const std::uint8_t*>(&value), sizeof value), state_);
  }
  void add(std::string_view text) { state_ = hash_bytes(text, state_); }
  void add(const Address& address) {
    add(static_cast<std::uint64_t>(address.family()));
    state_ = hash_bytes(address.bytes(), state_);
  }
  void add(const std::optional<Prefix>& prefix) {
    add(prefix ? static_cast<std::uint64_t>(prefix->length()) + 1 : 0);
    if (prefix) add(prefix->address());
  }
  void add(const Target& target) {
    add(static_cast<std::uint64_t>(target.index()));
    if (const auto* jump = std::get_if<Jump>(&target)) {
      add(jump->chain.str());
      add(std::uint64_t{jump->go_to});
    } else if (const auto* dnat = std::get_if<Dnat>(&target)) {
      add(dnat->to);
    } else if (const auto* mark = std::get_if<SetMark>(&target)) {
      add(std::uint64_t{mark->value} << 32 | mark->mask);
    }
  }
  [[nodiscard]] std::uint64_t value() const { return state_; }

 private:
  std::uint64_t state_ = 0;
};

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
  hasher.add(rule.source);
  hasher.add(rule.destination);
  hasher.add(rule.in_interface);
  hasher.add(static_cast<std::uint64_t>(rule.protocol) | std::uint64_t{rule.source_is_local} << 8 |
             std::uint64_t{rule.state_invalid} << 9 |
             std::uint64_t{rule.destination_ports.size()} << 10);
  for (const PortRange& range : rule.destination_ports) {
    hasher.add(std::uint64_t{range.first} << 16 | range.last);
  }
  hasher.add(rule.comment);
  hasher.add(rule.target);
  return hasher.value();
}

}  // namespace nmanager
