// The probe thread against servers that imitate kube-proxy.
#include "plugin/neighbour/probe.h"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "test/unit/neighbour/scripted_server.h"

namespace nmanager {
using namespace nmanager::neighbour;
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using test::Reply;
using test::ScriptedServer;
using Clock = std::chrono::steady_clock;

const std::string kMetrics =
    "kubeproxy_sync_proxy_rules_last_timestamp_seconds{ip_family=\"IPv4\"} 1.795427042285994e+09\n"
    "kubernetes_build_info{git_version=\"v1.36.2\"} 1\n";

/// Collects the reports and lets a test wait for the next one.
class Reports {
 public:
  KubeProxyProbe::Sink sink() {
    return [this](ProxyReport report) {
      const std::lock_guard lock(mutex_);
      reports_.push_back(std::move(report));
      arrived_.notify_all();
    };
  }
  ProxyReport next() {
    std::unique_lock lock(mutex_);
    REQUIRE(arrived_.wait_for(lock, seconds(20), [&] { return !reports_.empty(); }));
    ProxyReport report = std::move(reports_.front());
    reports_.pop_front();
    return report;
  }
  bool nothing_for(milliseconds time) {
    std::unique_lock lock(mutex_);
    return !arrived_.wait_for(lock, time, [&] { return !reports_.empty(); });
  }

 private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<ProxyReport> reports_;
};

Reply kube_proxy(std::string_view path, const std::string& mode) {
  return path == "/proxyMode" ? test::ok(mode) : path == "/metrics" ? test::ok(kMetrics) : Reply{};
}

ProbeOptions options(const Endpoint& endpoint, milliseconds interval) {
  ProbeOptions made;
  made.endpoint = endpoint;
  made.interval = interval;
  made.metrics_interval = interval;
  made.least_gap = milliseconds(5);
  made.limits.timeout = seconds(60);
  return made;
}

TEST_CASE("a whole report") {
  const ScriptedServer server([](std::string_view path) { return kube_proxy(path, "ipvs"); });
  const ProxyReport report = ask_kube_proxy(server.endpoint(), {});
  CHECK(report.mode == ProxyMode::kIpvs);
  CHECK(report.reachable);
  CHECK(report.metrics_read);
  CHECK(report.error.empty());
  CHECK(report.metrics.last_sync == 1.795427042285994e9);
  CHECK(report.metrics.last_sync_of[0] == report.metrics.last_sync);
  CHECK(report.metrics.version == "v1.36.2");
  REQUIRE(report.last_sync(Family::kIpv4));
  CHECK_FALSE(report.last_sync(Family::kIpv6));  // never the other one's time
  const auto since = report.last_sync(Family::kIpv4)->time_since_epoch();
  CHECK(std::chrono::duration_cast<milliseconds>(since).count() == 1795427042285);
}

TEST_CASE("an error is reported in one line, and the rest of the report is kept") {
  struct Case {
    Reply mode;
    Reply metrics;
    bool reachable;
    bool metrics_read;
    std::string named;
  };
  const std::vector<Case> cases{
      {test::ok("ipvs"), {"", 1, true}, true, false, "/metrics: no response"},
      {test::ok("ipvs"), test::ok("go_goroutines 1\n"), true, false, "no metrics of kube-proxy"},
      {test::ok("ipvs"), {"nonsense\r\n\r\n"}, true, false, "/metrics: not an HTTP response"},
      {test::ok("ipvs"),
       {"HTTP/1.1 200 OK\r\n\r\n" + std::string(1 << 20, '#'), 10},
       true,
       false,
       "/metrics: the response is larger than"},
      {test::ok("ipvs"), test::ok("kubeproxy_x 1\n"), true, true, ""},
      {test::ok("who knows"), test::ok(kMetrics), false, false, "/proxyMode returned 'who knows'"},
      {{"", 1, true}, test::ok(kMetrics), false, false, "/proxyMode: no response"},
      {{"HTTP/1.1 404 Not Found\r\n\r\n"}, test::ok(kMetrics), false, false, "HTTP status 404"},
      {test::ok(std::string(8 << 20, 'i')), test::ok(kMetrics), false, false, "larger than"},
  };
  for (const Case& one : cases) {
    CAPTURE(one.named);
    const ScriptedServer server(
        [&](std::string_view path) { return path == "/proxyMode" ? one.mode : one.metrics; });
    // Only a silent server uses up the whole limit.
    const auto limit = one.mode.hang || one.metrics.hang ? seconds(3) : seconds(60);
    const ProxyReport report = ask_kube_proxy(server.endpoint(), {limit, std::size_t{4} << 20});
    CHECK(report.reachable == one.reachable);
    CHECK(report.mode.has_value() == one.reachable);
    CHECK(report.metrics_read == one.metrics_read);
    CHECK_MESSAGE(report.error.find(one.named) != std::string::npos, report.error);
    CHECK(report.error.find('\n') == std::string::npos);
    CHECK(report.error.empty() == one.named.empty());
    CHECK(report.never_synced() == (one.metrics_read && !report.metrics.last_sync));
  }
}

TEST_CASE("asks at once, again after its interval, and sees a restart in another mode") {
  std::mutex mutex;
  std::string mode = "ipvs";
  const ScriptedServer server([&](std::string_view path) {
    const std::lock_guard lock(mutex);
    return kube_proxy(path, mode);
  });
  Reports reports;
  const KubeProxyProbe probe(options(server.endpoint(), milliseconds(20)), reports.sink());
  CHECK(reports.next().mode == ProxyMode::kIpvs);
  CHECK(reports.next().mode == ProxyMode::kIpvs);
  {
    const std::lock_guard lock(mutex);
    mode = "iptables";
  }
  std::optional<ProxyMode> seen = ProxyMode::kIpvs;
  while (seen == ProxyMode::kIpvs) seen = reports.next().mode;
  CHECK(seen == ProxyMode::kIptables);
}

TEST_CASE("asks for everything while kube-proxy is away, however long the interval is") {
  Reports reports;
  auto rare = options(test::closed_port(), milliseconds(20));
  rare.metrics_interval = seconds(3600);
  const KubeProxyProbe probe(rare, reports.sink());
  for (int i = 0; i < 5; ++i) {
    const ProxyReport report = reports.next();
    CHECK_FALSE(report.reachable);
    CHECK(report.error.find("refused") != std::string::npos);
  }
}

TEST_CASE("asks for everything until kube-proxy has synced, however long the interval is") {
  std::atomic<int> metrics = 0;
  const ScriptedServer server([&](std::string_view path) {
    if (path != "/metrics" || ++metrics > 5) return kube_proxy(path, "ipvs");
    return test::ok("kubeproxy_sync_proxy_rules_last_timestamp_seconds NaN\n");
  });
  Reports reports;
  auto rare = options(server.endpoint(), milliseconds(20));
  rare.metrics_interval = seconds(3600);
  const KubeProxyProbe probe(rare, reports.sink());
  ProxyReport report = reports.next();
  CHECK(report.never_synced());
  while (report.never_synced()) report = reports.next();
  CHECK(metrics > 5);
}

TEST_CASE("asks only for the mode in between, and reports only changes") {
  std::mutex mutex;
  std::string mode = "ipvs";
  std::atomic<int> modes = 0;
  std::atomic<int> metrics = 0;
  const ScriptedServer server([&](std::string_view path) {
    ++(path == "/proxyMode" ? modes : metrics);
    const std::lock_guard lock(mutex);
    return kube_proxy(path, mode);
  });
  Reports reports;
  auto rare = options(server.endpoint(), milliseconds(20));
  rare.metrics_interval = seconds(3600);
  const KubeProxyProbe probe(rare, reports.sink());
  CHECK(reports.next().metrics_read);
  CHECK(reports.next().metrics_read);  // the first answer is another one than none
  const int asked = modes;
  while (modes < asked + 5) std::this_thread::yield();
  CHECK(metrics == 2);
  CHECK(reports.nothing_for(milliseconds(0)));
  {
    const std::lock_guard lock(mutex);
    mode = "nftables";
  }
  const ProxyReport report = reports.next();
  CHECK(report.mode == ProxyMode::kNftables);
  CHECK(reports.next().metrics_read);
}

TEST_CASE("a poke asks now, and once more soon after") {
  const ScriptedServer server([](std::string_view path) { return kube_proxy(path, "ipvs"); });
  Reports reports;
  auto rare = options(server.endpoint(), milliseconds(20));
  rare.metrics_interval = seconds(3600);
  KubeProxyProbe probe(rare, reports.sink());
  CHECK(reports.next().reachable);
  CHECK(reports.next().reachable);
  CHECK(reports.nothing_for(milliseconds(100)));
  probe.poke();
  CHECK(reports.next().reachable);
  CHECK(reports.next().reachable);
  CHECK(reports.nothing_for(milliseconds(100)));
}

TEST_CASE("many pokes cause few requests") {
  const ScriptedServer server([](std::string_view path) { return kube_proxy(path, "ipvs"); });
  Reports reports;
  auto rare = options(server.endpoint(), seconds(3600));
  rare.least_gap = milliseconds(300);
  rare.interval = milliseconds(300);
  KubeProxyProbe probe(rare, reports.sink());
  const auto begin = Clock::now();
  int questions = 0;
  while (Clock::now() - begin < milliseconds(700)) {
    probe.poke();
    std::this_thread::yield();
  }
  questions = server.requests() / 2;
  CHECK(questions >= 1);
  CHECK(questions <= (Clock::now() - begin) / milliseconds(300) + 1);
}

TEST_CASE("another address is asked at once") {
  const ScriptedServer first([](std::string_view path) { return kube_proxy(path, "ipvs"); });
  const ScriptedServer second([](std::string_view path) { return kube_proxy(path, "nftables"); },
                              Family::kIpv6);
  Reports reports;
  auto rare = options(first.endpoint(), milliseconds(20));
  rare.metrics_interval = seconds(3600);
  KubeProxyProbe probe(rare, reports.sink());
  CHECK(reports.next().mode == ProxyMode::kIpvs);
  CHECK(reports.next().mode == ProxyMode::kIpvs);
  probe.set_endpoint(first.endpoint());
  CHECK(reports.nothing_for(milliseconds(50)));
  probe.set_endpoint(second.endpoint());
  CHECK(reports.next().mode == ProxyMode::kNftables);
}

TEST_CASE("stops at once, also while kube-proxy hangs and while it waits") {
  const ScriptedServer server([](std::string_view) { return Reply{"", 1, true, false}; });
  Reports reports;
  auto patient = options(server.endpoint(), seconds(3600));
  patient.limits.timeout = seconds(3600);
  auto probe = std::make_unique<KubeProxyProbe>(patient, reports.sink());
  while (server.requests() == 0) std::this_thread::yield();
  auto begin = Clock::now();
  probe.reset();
  CHECK(Clock::now() - begin < seconds(60));    // instead of one hour
  CHECK(reports.nothing_for(milliseconds(0)));  // a cancelled round is not reported

  probe =
      std::make_unique<KubeProxyProbe>(options(test::closed_port(), seconds(3600)), reports.sink());
  reports.next();
  begin = Clock::now();
  probe.reset();
  probe = std::make_unique<KubeProxyProbe>(patient, reports.sink());
  probe.reset();
  CHECK(Clock::now() - begin < seconds(60));  // instead of one hour
}

}  // namespace
}  // namespace nmanager
