#include "plugin/neighbour/probe.h"

#include <utility>

#include "plugin/neighbour/metrics_text.h"

namespace nmanager::neighbour {

namespace {

void ask_mode(const Endpoint& endpoint, const HttpLimits& limits, const std::stop_token& stop,
              ProxyReport& report) {
  const auto body = http_get(endpoint, "/proxyMode", limits, stop);
  if (!body) {
    report.error = body.error().message;
    return;
  }
  const auto mode = parse_proxy_mode(*body);
  if (!mode) {
    report.error = "http://" + to_string(endpoint) + mode.error().message;
    return;
  }
  report.mode = *mode;
  report.reachable = true;
}

void ask_metrics(const Endpoint& endpoint, const HttpLimits& limits, const std::stop_token& stop,
                 ProxyReport& report) {
  const auto body = http_get(endpoint, "/metrics", limits, stop);
  if (!body) {
    report.error = body.error().message;
    return;
  }
  ProxyMetrics metrics = parse_proxy_metrics(*body);
  if (!metrics.is_kube_proxy) {
    report.error = "http://" + to_string(endpoint) + "/metrics has no metrics of kube-proxy";
    return;
  }
  report.metrics_read = true;
  report.last_sync_timestamp = metrics.last_sync;
  report.last_sync_ipv4 = metrics.last_sync_ipv4;
  report.last_sync_ipv6 = metrics.last_sync_ipv6;
  report.version = std::move(metrics.version);
}

}  // namespace

std::optional<std::chrono::system_clock::time_point> ProxyReport::last_sync(Family family) const {
  const auto& own = family == Family::kIpv4 ? last_sync_ipv4 : last_sync_ipv6;
  const auto& seconds = own ? own : last_sync_timestamp;
  if (!seconds) return std::nullopt;
  const std::chrono::duration<double> since_1970(*seconds);
  return std::chrono::system_clock::time_point(
      std::chrono::duration_cast<std::chrono::microseconds>(since_1970));
}

ProxyReport ask_kube_proxy(const Endpoint& endpoint, const HttpLimits& limits,
                           const std::stop_token& stop) {
  ProxyReport report;
  ask_mode(endpoint, limits, stop, report);
  // If the first request fails, the second would only time out as well.
  if (report.reachable) ask_metrics(endpoint, limits, stop, report);
  report.when = std::chrono::system_clock::now();
  return report;
}

KubeProxyProbe::KubeProxyProbe(ProbeOptions options, Sink sink)
    : options_(options),
      sink_(std::move(sink)),
      endpoint_(options_.endpoint),
      thread_([this](const std::stop_token& stop) { loop(stop); }) {}

void KubeProxyProbe::poke() {
  {
    const std::lock_guard lock(mutex_);
    poked_ = true;
  }
  wake_.notify_all();
}

void KubeProxyProbe::set_endpoint(const Endpoint& endpoint) {
  {
    const std::lock_guard lock(mutex_);
    if (endpoint_ == endpoint) return;
    endpoint_ = endpoint;
    poked_ = true;
  }
  wake_.notify_all();
}

bool KubeProxyProbe::wait(const std::stop_token& stop, std::chrono::milliseconds pause) {
  std::unique_lock lock(mutex_);
  wake_.wait_for(lock, stop, options_.least_gap, [] { return false; });
  wake_.wait_for(lock, stop, pause - options_.least_gap, [this] { return poked_; });
  return !stop.stop_requested();
}

void KubeProxyProbe::loop(const std::stop_token& stop) {
  do {
    Endpoint endpoint;
    bool poked = false;
    {
      const std::lock_guard lock(mutex_);
      endpoint = endpoint_;
      poked = std::exchange(poked_, false);
    }
    ProxyReport report = ask_kube_proxy(endpoint, options_.limits, stop);
    if (stop.stop_requested()) return;
    const bool soon = poked || !report.reachable;
    sink_(std::move(report));
    if (!wait(stop, soon ? options_.interval_unreachable : options_.interval)) return;
  } while (true);
}

}  // namespace nmanager::neighbour
