// Periodically queries kube-proxy for its mode, its version and the time of its last sync.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>

#include "plugin/model/settings.h"
#include "plugin/neighbour/http_get.h"

namespace nmanager::neighbour {

inline constexpr std::string_view kProxyModeOrigin = "kube-proxy /proxyMode";

/// The result of one round of queries.
struct ProxyReport {
  std::optional<ProxyMode> mode;
  bool reachable = false;     // /proxyMode returned a mode
  bool metrics_read = false;  // /metrics returned metrics of kube-proxy
  std::string error;          // one line; empty: no error
  /// Seconds since 1970; nullopt with metrics_read means that it has never synced.
  std::optional<double> last_sync_timestamp;
  std::optional<double> last_sync_ipv4;  // if there is one series per family
  std::optional<double> last_sync_ipv6;
  std::optional<std::string> version;  // "v1.36.2"
  std::chrono::system_clock::time_point when;

  [[nodiscard]] bool never_synced() const { return metrics_read && !last_sync_timestamp; }
  /// The last sync of the family if it is reported, else the last sync of any family; in
  /// microseconds.
  [[nodiscard]] std::optional<std::chrono::system_clock::time_point> last_sync(Family family) const;
};

/// One round of queries. Blocks for at most twice `limits.timeout`, and returns early when `stop`
/// is requested.
[[nodiscard]] ProxyReport ask_kube_proxy(const Endpoint& endpoint, const HttpLimits& limits,
                                         const std::stop_token& stop = {});

struct ProbeOptions {
  Endpoint endpoint;
  std::chrono::milliseconds interval{10'000};
  std::chrono::milliseconds interval_unreachable{1'000};
  /// The minimum time between two rounds, even after poke().
  std::chrono::milliseconds least_gap{200};
  HttpLimits limits;
};

/// Runs its own thread. Every report is passed to the sink on that thread; the sink must not block,
/// throw or destroy the probe. The destructor takes well under a second, even while kube-proxy
/// hangs.
class KubeProxyProbe {
 public:
  using Sink = std::function<void(ProxyReport)>;

  KubeProxyProbe(ProbeOptions options, Sink sink);
  ~KubeProxyProbe() = default;
  KubeProxyProbe(const KubeProxyProbe&) = delete;
  KubeProxyProbe& operator=(const KubeProxyProbe&) = delete;

  /// Queries now, and again soon afterwards, because kube-proxy sets the time of a sync after it
  /// has written the rules. Any thread.
  void poke();
  /// Queries this endpoint from now on. Any thread.
  void set_endpoint(const Endpoint& endpoint);

 private:
  void loop(const std::stop_token& stop);
  /// Waits until the next round is due; false: stop.
  bool wait(const std::stop_token& stop, std::chrono::milliseconds pause);

  const ProbeOptions options_;  // its endpoint is only the initial one
  const Sink sink_;
  std::mutex mutex_;
  std::condition_variable_any wake_;
  Endpoint endpoint_;    // protected by mutex_
  bool poked_ = false;   // protected by mutex_
  std::jthread thread_;  // last: it uses the others
};

}  // namespace nmanager::neighbour
