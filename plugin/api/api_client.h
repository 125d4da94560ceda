// Lists and watches Services of a Kubernetes API server, as kube-proxy does.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "plugin/api/api_access.h"
#include "plugin/api/service_source.h"

namespace nmanager::api {

struct ApiClientOptions {
  std::string user_agent = "nmanager";
  std::chrono::seconds watch_timeout{480};  // asked of the server; jittered by up to as much again
  /// The server sends a bookmark a minute; longer silence means the connection is dead.
  std::chrono::milliseconds watch_silence{90'000};
  std::chrono::milliseconds list_silence{30'000};
  /// For one page altogether, however it trickles.
  std::chrono::milliseconds list_patience{120'000};
  double pace = 1;  // every delay of the schedule is multiplied by it: for tests that cannot wait
  std::size_t max_list = std::size_t{512} << 20;  // bytes of one page
  /// The Node object to be asked for after each list, for a diagnosis; empty: none. That it may not
  /// be read, or is not there, is no error.
  std::string node_name;
  std::chrono::milliseconds node_silence{2'000};
};

/// A thread of its own. start_http_library() must have been called.
[[nodiscard]] std::unique_ptr<ServiceSource> make_api_client(const ApiAccess& access,
                                                             ApiClientOptions options = {});

/// Only the Node object: asks until it is had, then is silent. Reports NodePodCidrs once, with none
/// when the Node may not be read, has none, or could not be had for half a minute; later still, if
/// that comes to be different.
[[nodiscard]] std::unique_ptr<ServiceSource> make_node_client(const ApiAccess& access,
                                                              ApiClientOptions options = {});

/// One complete list, for commands that look once; blocks up to the list's time-outs.
[[nodiscard]] Result<ServicesListed> list_once(const ApiAccess& access,
                                               ApiClientOptions options = {});

/// The Node object asked for once; nothing: it cannot be had.
[[nodiscard]] std::optional<NodePodCidrs> node_once(const ApiAccess& access,
                                                    ApiClientOptions options);

}  // namespace nmanager::api
