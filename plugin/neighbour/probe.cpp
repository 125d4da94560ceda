#include "plugin/neighbour/probe.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "plugin/neighbour/metrics_text.h"

namespace nmanager::neighbour {

namespace {

using std::chrono::steady_clock;

std::size_t index_of(Family family) {
  return static_cast<std::size_t>(std::ranges::find(kFamilies, family) - kFamilies.begin());
}

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
  report.metrics = parse_proxy_metrics(*body);
  if (!report.metrics.is_kube_proxy) {
    report.error = "http://" + to_string(endpoint) + "/metrics has no metrics of kube-proxy";
    return;
  }
  report.metrics_read = true;
}

}  // namespace

std::optional<std::chrono::system_clock::time_point> ProxyReport::last_sync(Family family) const {
  const auto& told = metrics.by_family ? metrics.last_sync_of[index_of(family)] : metrics.last_sync;
  if (!told) return std::nullopt;
  const std::chrono::duration<double> since_1970(*told);
  return std::chrono::system_clock::time_point(
      std::chrono::duration_cast<std::chrono::microseconds>(since_1970));
}

std::optional<double> ProxyReport::restore_failures(Family family) const {
  return metrics.restore_failures[index_of(family)];
}

bool ProxyReport::says_the_same(const ProxyReport& other) const {
  return mode == other.mode && reachable == other.reachable && metrics_read == other.metrics_read &&
         error == other.error && metrics == other.metrics;
}

ProxyReport ask_kube_proxy(const Endpoint& endpoint, const HttpLimits& limits,
                           const std::stop_token& stop, Ask what) {
  ProxyReport report;
  ask_mode(endpoint, limits, stop, report);
  // Without an answer to the first request there is no second one, which would only hang again.
  if (report.reachable && what == Ask::kModeAndMetrics) ask_metrics(endpoint, limits, stop, report);
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
  ProxyReport last;
  auto metrics_due = steady_clock::time_point::min();
  do {
    Endpoint endpoint;
    bool poked = false;
    {
      const std::lock_guard lock(mutex_);
      endpoint = endpoint_;
      poked = std::exchange(poked_, false);
    }
    const bool all = poked || steady_clock::now() >= metrics_due;
    ProxyReport report = ask_kube_proxy(endpoint, options_.limits, stop,
                                        all ? Ask::kModeAndMetrics : Ask::kModeOnly);
    if (stop.stop_requested()) return;
    const bool as_before = report.reachable && report.mode == last.mode;
    if (!all && as_before) {  // the metrics are those of the last reading
      report.metrics_read = last.metrics_read;
      report.metrics = last.metrics;
      report.error = last.error;
    }
    // Poked: once more soon after, since a sync's time is set after its rules are written. Until
    // the first sync the node is not ready, and a sync that changes no chain pokes nobody.
    const bool ask_all_again = poked || !as_before || report.never_synced();
    if (ask_all_again) {
      metrics_due = steady_clock::time_point::min();
    } else if (all) {
      metrics_due = steady_clock::now() + options_.metrics_interval;
    }
    const bool news = all || !report.says_the_same(last);
    last = report;
    if (news) sink_(std::move(report));
  } while (wait(stop, options_.interval));
}

}  // namespace nmanager::neighbour
