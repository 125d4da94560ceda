#include "plugin/model/endpoint.h"

#include <charconv>
#include <cstdint>
#include <optional>

#include "hooks/values/text.h"

namespace nmanager {

namespace {

std::optional<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size() || port == 0) return std::nullopt;
  return port;
}

}  // namespace

Result<Endpoint> parse_endpoint(std::string_view text) {
  const auto colon = text.rfind(':');
  const auto fail = [&](std::string_view why) {
    return Error{ErrorKind::kBadInput, in_quotes(text) + " is not ADDRESS:PORT" + std::string(why)};
  };
  if (colon == std::string_view::npos) return fail("");
  std::string_view host = text.substr(0, colon);
  const bool brackets = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (brackets) host = host.substr(1, host.size() - 2);
  const auto address = Address::parse(host);
  if (!address) return fail(" (an address, not a name)");
  if ((address->family() == Family::kIpv6) != brackets) {
    return fail(" (an IPv6 address is written in brackets: [::1]:PORT)");
  }
  const auto port = parse_port(text.substr(colon + 1));
  if (!port) return fail(" (a port is 1..65535)");
  return Endpoint{*address, *port};
}

std::string to_string(const Endpoint& endpoint) {
  const std::string address = to_string(endpoint.address);
  const bool v6 = endpoint.address.family() == Family::kIpv6;
  return (v6 ? "[" + address + "]" : address) + ":" + std::to_string(endpoint.port);
}

}  // namespace nmanager
