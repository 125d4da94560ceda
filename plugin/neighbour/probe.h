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
#include "plugin/neighbour/metrics_text.h"

namespace nmanager::neighbour {

inline constexpr std::string_view kProxyModeOrigin = "kube-proxy /proxyMode";

/// The result of one round of queries.
struct ProxyReport {
  std::optional<ProxyMode> mode;
  bool reachable = false;     // it answered /proxyMode with a mode
  bool metrics_read = false;  // it answered /metrics with metrics of a kube-proxy
  std::string error;          // one line; empty: no error
  ProxyMetrics metrics;       // with metrics_read; without a last_sync it has never synced
  std::chrono::system_clock::time_point when;

  [[nodiscard]] bool never_synced() const { return metrics_read && !metrics.last_sync; }
  /// The family's own last sync, to the microsecond; the common one only if kube-proxy (before
  /// 1.33) does not distinguish families.
  [[nodiscard]] std::optional<std::chrono::system_clock::time_point> last_sync(Family family) const;
  /// Failed calls of iptables-restore since its start; nullopt: not known.
  [[nodiscard]] std::optional<double> restore_failures(Family family) const;

  /// Equal except for `when`.
  [[nodiscard]] bool says_the_same(const ProxyReport& other) const;
};

enum class Ask { kModeAndMetrics, kModeOnly };

/// One round of questions; blocks at most twice `limits.timeout`, less when `stop` is requested.
[[nodiscard]] ProxyReport ask_kube_proxy(const Endpoint& endpoint, const HttpLimits& limits,
                                         const std::stop_token& stop = {},
                                         Ask what = Ask::kModeAndMetrics);

struct ProbeOptions {
  Endpoint endpoint;
  /// For the mode, whose change makes some of our rules wrong: a small request.
  std::chrono::milliseconds interval{1'000};
  /// For the metrics, which are large. They are also read when the probe is poked, when the mode
  /// has changed, when kube-proxy was unreachable before, and until it has synced.
  std::chrono::milliseconds metrics_interval{10'000};
  /// The minimum interval, however often the probe is poked.
  std::chrono::milliseconds least_gap{200};
  HttpLimits limits;
};

/// Has its own thread. Every report with a change, and one for each reading of the metrics, is
/// passed to the sink, on that thread; the sink must not block or throw, nor destroy the probe.
/// Ends in well under a second, even while kube-proxy hangs.
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
