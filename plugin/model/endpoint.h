// An address and a port.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "hooks/values/address.h"
#include "hooks/values/result.h"

namespace nmanager {

/// An address and a port to listen on or to connect to.
struct Endpoint {
  Address address;
  std::uint16_t port = 0;
  auto operator<=>(const Endpoint&) const = default;
};

/// "127.0.0.1:10249", "[::1]:10249"; no host names, port 1..65535.
[[nodiscard]] Result<Endpoint> parse_endpoint(std::string_view text);
[[nodiscard]] std::string to_string(const Endpoint& endpoint);

}  // namespace nmanager
