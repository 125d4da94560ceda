// The parsed URL of an API server. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hooks/values/address.h"
#include "hooks/values/result.h"
#include "plugin/model/endpoint.h"

namespace nmanager::api {

struct ServerUrl {
  bool tls = true;
  std::string host;                // a name, or an address without brackets
  std::optional<Address> address;  // `host`, if it is an address
  std::uint16_t port = 443;
  std::string path;  // "" or "/prefix", as with Rancher
  bool operator==(const ServerUrl&) const = default;
};

/// "https://[fd00::1]", "http://localhost:8080/prefix/". kBadInput: one line that never shows a
/// password; a user in the URL, a query and a fragment are refused.
[[nodiscard]] Result<ServerUrl> parse_server_url(std::string_view text);

/// "host:port", with brackets if needed; `always_port`: also if it is the scheme's default port.
[[nodiscard]] std::string authority_of(const ServerUrl& url, bool always_port);
[[nodiscard]] std::string to_string(const ServerUrl& url);

}  // namespace nmanager::api
