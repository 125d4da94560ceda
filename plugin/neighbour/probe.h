// Asks kube-proxy for its mode, its version and the time of its last sync, again and again.
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

/// What kube-proxy said, once.
struct ProxyReport {
  std::optional<ProxyMode> mode;
  bool reachable = false;     // it answered /proxyMode with a mode
  bool metrics_read = false;  // it answered /metrics with metrics of a kube-proxy
  std::string error;          // one line; empty: nothing went wrong
  /// Seconds since 1970; with metrics_read nothing means: it has never synced.
  std::optional<double> last_sync_timestamp;
  std::optional<double> last_sync_ipv4;  // where it tells families apart
  std::optional<double> last_sync_ipv6;
  std::optional<std::string> version;  // "v1.36.2"
  std::chrono::system_clock::time_point when;

  [[nodiscard]] bool never_synced() const { return metrics_read && !last_sync_timestamp; }
  /// The family's own last sync, else the one for all, as a time point to the microsecond.
  [[nodiscard]] std::optional<std::chrono::system_clock::time_point> last_sync(Family family) const;
};

/// One round of questions; blocks at most twice `limits.timeout`, less when `stop` is requested.
[[nodiscard]] ProxyReport ask_kube_proxy(const Endpoint& endpoint, const HttpLimits& limits,
                                         const std::stop_token& stop = {});

struct ProbeOptions {
  Endpoint endpoint;
  std::chrono::milliseconds interval{10'000};
  std::chrono::milliseconds interval_unreachable{1'000};
  /// Not more often than this, however often it is poked.
  std::chrono::milliseconds least_gap{200};
  HttpLimits limits;
};

/// A thread of its own. Every report goes to the sink, on that thread; the sink must not block or
/// throw, nor destroy the probe. Ends in well under a second, even while kube-proxy hangs.
class KubeProxyProbe {
 public:
  using Sink = std::function<void(ProxyReport)>;

  KubeProxyProbe(ProbeOptions options, Sink sink);
  ~KubeProxyProbe() = default;
  KubeProxyProbe(const KubeProxyProbe&) = delete;
  KubeProxyProbe& operator=(const KubeProxyProbe&) = delete;

  /// Ask now, and once more soon after: kube-proxy sets the time of a sync after its rules stand.
  /// Any thread.
  void poke();
  /// Ask there from now on. Any thread.
  void set_endpoint(const Endpoint& endpoint);

 private:
  void loop(const std::stop_token& stop);
  /// Waits for the time of the next question; false: stop.
  bool wait(const std::stop_token& stop, std::chrono::milliseconds pause);

  const ProbeOptions options_;  // its endpoint is only where it starts
  const Sink sink_;
  std::mutex mutex_;
  std::condition_variable_any wake_;
  Endpoint endpoint_;    // protected by mutex_
  bool poked_ = false;   // protected by mutex_
  std::jthread thread_;  // last: it uses the others
};

}  // namespace nmanager::neighbour
