// One HTTP GET without TLS and with limits, for another program on this node.
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
  std::chrono::milliseconds timeout{2000};      // for the whole exchange
  std::size_t max_body = std::size_t{4} << 20;  // in bytes
};

/// The body of a 200 response. kUnavailable: no connection, no response in time, stopped, or out of
/// memory or descriptors; kBadInput: the response is not HTTP, is too large, or has another status.
/// The message begins with the URL. Blocks for at most `limits.timeout` and returns at once when
/// `stop` is requested.
[[nodiscard]] Result<std::string> http_get(const Endpoint& endpoint, std::string_view path,
                                           const HttpLimits& limits,
                                           const std::stop_token& stop = {});

}  // namespace nmanager::neighbour
