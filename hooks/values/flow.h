// One connection as conntrack keeps it, as values.
#pragma once

#include <compare>
#include <cstdint>
#include <string>

#include "hooks/values/address.h"

namespace nmanager {

/// One direction of a connection of TCP.
struct Tuple {
  Address source;
  std::uint16_t source_port = 0;
  Address destination;
  std::uint16_t destination_port = 0;
  auto operator<=>(const Tuple&) const = default;

  [[nodiscard]] Tuple reversed() const {
    return {destination, destination_port, source, source_port};
  }
};

/// "10.244.1.7:43626 -> 203.0.113.9:443"
[[nodiscard]] std::string to_string(const Tuple& tuple);
/// "10.244.1.7:43626", "[fd44::2]:80"
[[nodiscard]] std::string socket_text(const Address& address, std::uint16_t port);

/// An entry of conntrack: what the first packet was, and what its answers look like. Where they
/// are not each other's reverse, the connection is translated.
struct Flow {
  Tuple original;
  Tuple reply;
  auto operator<=>(const Flow&) const = default;

  /// The source is translated: answers go to another address than the one that began.
  [[nodiscard]] bool source_translated() const {
    return reply.destination != original.source || reply.destination_port != original.source_port;
  }
  /// The destination is translated: answers come from another address than the one asked.
  [[nodiscard]] bool destination_translated() const {
    return reply.source != original.destination || reply.source_port != original.destination_port;
  }
};

}  // namespace nmanager
