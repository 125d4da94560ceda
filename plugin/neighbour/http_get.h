// One bounded HTTP GET without TLS, for a neighbour on this node.
#pragma once

#include <chrono>
#include <cstddef>
#include <stop_token>
#include <string>
#include <string_view>

#include "hooks/values/result.h"
#include "plugin/model/endpoint.h"

namespace nmanager::neighbour {

struct HttpLimits {
  std::chrono::milliseconds timeout{2000};  // for everything together
  std::size_t max_body = std::size_t{4} << 20;
};

/// The body of a 200. kUnavailable: no connection, no answer in time, or stopped; kBadInput: what
/// came is not HTTP, too long, or not a 200. The message begins with the URL. Blocks at most
/// `limits.timeout`, and returns at once when `stop` is requested.
[[nodiscard]] Result<std::string> http_get(const Endpoint& endpoint, std::string_view path,
                                           const HttpLimits& limits,
                                           const std::stop_token& stop = {});

}  // namespace nmanager::neighbour
