// Recorded responses of kube-proxy, and malformed variants of them.
#include "plugin/neighbour/metrics_text.h"

#include <doctest/doctest.h>

#include <random>
#include <string>
#include <vector>

#include "test/unit/settings/recorded.h"

namespace nmanager {
using namespace nmanager::neighbour;
namespace {

std::string recorded(const std::string& name) {
  return test::read_file(std::filesystem::path(NMANAGER_SOURCE_DIR) / "test/fixtures/kube-proxy" /
                         name);
}

TEST_CASE("recorded responses of real kube-proxies") {
  for (const std::string version : {"1.20", "1.36"}) {
    const std::string folder = "ipvs-" + version;
    const auto mode = parse_proxy_mode(recorded(folder + "/proxyMode.txt"));
    REQUIRE(mode.ok());
    CHECK(*mode == ProxyMode::kIpvs);
    const std::string text = recorded(folder + "/metrics.txt");
    const ProxyMetrics metrics = parse_proxy_metrics(text);
    CHECK(metrics.is_kube_proxy);
    REQUIRE(metrics.version);
    CHECK(metrics.version->starts_with("v" + version + "."));
    // The value in the text.
    const std::string name = "\nkubeproxy_sync_proxy_rules_last_timestamp_seconds";
    const auto line = text.substr(text.find(name) + name.size());
    REQUIRE(metrics.last_sync);
    CHECK(*metrics.last_sync == std::stod(line.substr(line.find(' '))));
    CHECK(metrics.last_sync_of[0].has_value() == (version == "1.36"));
    CHECK_FALSE(metrics.last_sync_of[1]);
    CHECK(metrics.by_family == (version == "1.36"));
    CHECK(metrics.restore_failures[0] == (version == "1.20" ? std::optional(0.0) : std::nullopt));
  }
}

TEST_CASE("/proxyMode") {
  CHECK(*parse_proxy_mode("ipvs") == ProxyMode::kIpvs);
  CHECK(*parse_proxy_mode("iptables\n") == ProxyMode::kIptables);
  CHECK(*parse_proxy_mode(" nftables ") == ProxyMode::kNftables);
  for (const std::string& bad :
       {std::string(), std::string("IPVS"), std::string("ipvs iptables"), std::string("userspace"),
        std::string("auto"), std::string("<html>\n\n"), std::string(1 << 20, 'i'),
        std::string("ipvs\0", 5)}) {
    const auto mode = parse_proxy_mode(bad);
    REQUIRE_FALSE(mode.ok());
    CHECK(mode.error().message.find('\n') == std::string::npos);
    CHECK(mode.error().message.size() < 200);
  }
}

TEST_CASE("the time of the last sync") {
  const std::string name = "kubeproxy_sync_proxy_rules_last_timestamp_seconds";
  struct Case {
    std::string lines;
    std::optional<double> last;
    std::optional<double> ipv4;
    std::optional<double> ipv6;
  };
  const auto none = std::nullopt;
  const std::vector<Case> cases{
      {name + " 1.5e+09\n", 1.5e9, none, none},
      {name + " 1500000000", 1.5e9, none, none},
      {name + " 1500000000 1700000000000\n", 1.5e9, none, none},
      {name + "{ip_family=\"IPv4\"} 1.5e+09\n" + name + "{ip_family=\"IPv6\"} 1.6e+09\n", 1.6e9,
       1.5e9, 1.6e9},
      {name + "{ip_family=\"IPv6\",a=\"x\\\"}\\\\\\n\",} 3\n", 3, none, 3},
      {name + "{other=\"1\"} 5\n" + name + "{other=\"2\"} 4\n", 5, none, none},
      {name + " 0\n", none, none, none},  // kube-proxy that has never synced
      {name + " -1\n", none, none, none},
      {name + " NaN\n", none, none, none},
      {name + " +Inf\n", none, none, none},
      {name + " 1e300\n", none, none, none},
      {name + " 15x\n", none, none, none},
      {name + "\n", none, none, none},
      {name + " \n", none, none, none},
      {name + "15\n", none, none, none},
      {name + "_total 15\n", none, none, none},
      {name + "{ip_family=\"IPv4\" 15\n", none, none, none},
      {name + "{ip_family=IPv4} 15\n", none, none, none},
      {name + "{ip_family=\"IPv4} 15\n", none, none, none},
      {name + "{=\"IPv4\"} 15\n", none, none, none},
      {name + "{a=\"\\x\"} 15\n", none, none, none},
      {name + "{a=\"" + std::string(10'000, 'x') + "\"} 15\n", none, none, none},
      {"# TYPE " + name + " gauge\n# " + name + " 15\n " + name + " 15\n", none, none, none},
      {name + " x\n" + name + " 7\n", 7, none, none},
  };
  for (const Case& one : cases) {
    CAPTURE(one.lines);
    const ProxyMetrics metrics = parse_proxy_metrics("# HELP x y\n" + one.lines);
    CHECK(metrics.last_sync == one.last);
    CHECK(metrics.last_sync_of[0] == one.ipv4);
    CHECK(metrics.last_sync_of[1] == one.ipv6);
  }
}

TEST_CASE("failed calls of iptables-restore, by family if the metrics have it") {
  const std::string whole = "kubeproxy_sync_proxy_rules_iptables_restore_failures_total";
  const std::string partial = "kubeproxy_sync_proxy_rules_iptables_partial_restore_failures_total";
  const auto failures = [](const std::string& lines) {
    return parse_proxy_metrics(lines).restore_failures;
  };
  CHECK(failures("go_goroutines 1\n")[0] == std::nullopt);
  CHECK(failures(whole + " 3\n")[0] == 3);
  CHECK(failures(whole + " 3\n")[1] == 3);
  const auto own = failures(whole + "{ip_family=\"IPv4\"} 2\n" + partial +
                            "{ip_family=\"IPv4\"} 5\n" + whole + "{ip_family=\"IPv6\"} 0\n");
  CHECK(own[0] == 7);
  CHECK(own[1] == 0);
  CHECK(failures(whole + " NaN\n" + partial + " -1\n")[0] == std::nullopt);
}

TEST_CASE("the version") {
  const auto version = [](const std::string& labels) {
    return parse_proxy_metrics("kubernetes_build_info{" + labels + "} 1\n").version;
  };
  CHECK(version("major=\"1\",git_version=\"v1.36.2\"") == "v1.36.2");
  CHECK_FALSE(version("major=\"1\""));
  CHECK_FALSE(version("git_version=\"\""));
  CHECK_FALSE(version("git_version=\"a\\nb\""));
  CHECK_FALSE(version("git_version=\"" + std::string(100, '1') + "\""));
}

TEST_CASE("metrics of another program are not kube-proxy's") {
  CHECK_FALSE(parse_proxy_metrics("").is_kube_proxy);
  CHECK_FALSE(parse_proxy_metrics("# kubeproxy_x 1\ngo_goroutines 1\nfoo 2\n").is_kube_proxy);
  CHECK(parse_proxy_metrics("kubeproxy_sync_proxy_rules_iptables_total 1").is_kube_proxy);
}

TEST_CASE("any text is accepted") {
  std::mt19937 random(3);
  const std::string original =
      recorded("ipvs-1.36/metrics.txt").substr(0, 4000) +
      "\nkubeproxy_sync_proxy_rules_last_timestamp_seconds{ip_family=\"IPv4\"} 1.79e+09\n"
      "kubernetes_build_info{git_version=\"v1.36.2\",major=\"1\"} 1\n";
  for (int round = 0; round < 2000; ++round) {
    std::string text = original;
    for (auto edits = random() % 60; edits > 0; --edits) {
      // Mostly at the end, where the relevant lines are.
      const std::size_t back = random() % (round % 2 == 0 ? 150 : text.size());
      text[text.size() - 1 - back] = static_cast<char>(random() % 256);
    }
    const ProxyMetrics metrics = parse_proxy_metrics(text.substr(0, text.size() - random() % 150));
    if (metrics.last_sync) CHECK(*metrics.last_sync > 0);
    if (metrics.version) CHECK(metrics.version->find('\n') == std::string::npos);
  }
}

}  // namespace
}  // namespace nmanager
