#include "hooks/values/flow.h"

namespace nmanager {

std::string socket_text(const Address& address, std::uint16_t port) {
  const std::string text = to_string(address);
  return (address.family() == Family::kIpv6 ? "[" + text + "]" : text) + ":" + std::to_string(port);
}

std::string to_string(const Tuple& tuple) {
  return socket_text(tuple.source, tuple.source_port) + " -> " +
         socket_text(tuple.destination, tuple.destination_port);
}

}  // namespace nmanager
