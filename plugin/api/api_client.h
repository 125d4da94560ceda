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
  std::chrono::seconds watch_timeout{480};  // requested; jitter adds up to the same amount
  /// The server sends a bookmark a minute; longer silence means the connection is dead.
  std::chrono::milliseconds watch_silence{90'000};
  std::chrono::milliseconds list_silence{30'000};
  /// The total time for one page, however slowly it arrives.
  std::chrono::milliseconds list_patience{120'000};
  /// How long a client's destructor waits for its thread and for the library. Both need
  /// milliseconds, unless a file of the credentials cannot be read at once.
  std::chrono::milliseconds stop_patience{1'000};
  double pace = 1;  // factor for every delay of the schedule: for tests that cannot wait
  std::size_t max_list = std::size_t{512} << 20;  // bytes of one page
  /// The Node object to request after each list, for a diagnosis; empty: none. If access to it is
  /// denied or it does not exist, that is not an error.
  std::string node_name;
  std::chrono::milliseconds node_silence{2'000};
};

/// Has its own thread. start_http_library() must have been called.
[[nodiscard]] std::unique_ptr<ServiceSource> make_api_client(const ApiAccess& access,
                                                             const ApiClientOptions& options = {});

/// Requests only the Node object, until it has arrived. Reports NodePodCidrs once: empty if access
/// to the Node is denied, it has none, or no request succeeded for half a minute. Reports again if
/// a later answer differs.
[[nodiscard]] std::unique_ptr<ServiceSource> make_node_client(const ApiAccess& access,
                                                              const ApiClientOptions& options = {});

/// One complete list, for commands that run once; blocks up to the list's time-outs.
[[nodiscard]] Result<ServicesListed> list_once(const ApiAccess& access,
                                               ApiClientOptions options = {});

/// Requests the Node object once; nullopt: it is not available.
[[nodiscard]] std::optional<NodePodCidrs> node_once(const ApiAccess& access,
                                                    ApiClientOptions options);

}  // namespace nmanager::api
