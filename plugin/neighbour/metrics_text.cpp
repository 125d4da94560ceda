#include "plugin/neighbour/metrics_text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <map>

#include "hooks/values/text.h"

namespace nmanager::neighbour {

namespace {

constexpr std::string_view kLastSync = "kubeproxy_sync_proxy_rules_last_timestamp_seconds";
constexpr std::string_view kRestoreFailures =
    "kubeproxy_sync_proxy_rules_iptables_restore_failures_total";
constexpr std::string_view kPartialRestoreFailures =
    "kubeproxy_sync_proxy_rules_iptables_partial_restore_failures_total";
constexpr std::string_view kBuildInfo = "kubernetes_build_info";
constexpr std::size_t kMaxLine = 4096;

/// The parts of `name{a="b"} value [timestamp]`.
struct Series {
  std::map<std::string, std::string, std::less<>> labels;
  double value = 0;
};

/// Parses and removes `"..."` with the escapes \\, \" and \n from the front.
std::optional<std::string> take_quoted(std::string_view& rest) {
  if (!rest.starts_with('"')) return std::nullopt;
  std::string value;
  for (std::size_t i = 1; i < rest.size(); ++i) {
    if (rest[i] == '"') {
      rest.remove_prefix(i + 1);
      return value;
    }
    if (rest[i] == '\\') {
      if (++i == rest.size()) break;
      if (rest[i] != '\\' && rest[i] != '"' && rest[i] != 'n') break;
      value += rest[i] == 'n' ? '\n' : rest[i];
    } else {
      value += rest[i];
    }
  }
  return std::nullopt;
}

/// Parses and removes `{a="b",c="d"}` from the front.
bool take_labels(std::string_view& rest, Series& series) {
  if (!rest.starts_with('{')) return true;
  rest.remove_prefix(1);
  while (!rest.starts_with('}')) {
    const std::size_t equals = rest.find('=');
    if (equals == std::string_view::npos || equals == 0) return false;
    const std::string name(rest.substr(0, equals));
    rest.remove_prefix(equals + 1);
    auto value = take_quoted(rest);
    if (!value) return false;
    series.labels.insert_or_assign(name, std::move(*value));
    if (rest.starts_with(',')) {
      rest.remove_prefix(1);
    } else if (!rest.starts_with('}')) {
      return false;
    }
  }
  rest.remove_prefix(1);
  return true;
}

std::optional<Series> parse_series(std::string_view rest) {
  Series series;
  if (!take_labels(rest, series) || !rest.starts_with(' ')) return std::nullopt;
  rest = trimmed(rest);
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), series.value);
  if (error != std::errc()) return std::nullopt;
  if (end != rest.data() + rest.size() && *end != ' ') return std::nullopt;
  return series;
}

/// A valid time: finite, after 1970, before the year 5138.
bool plausible(double seconds) {
  return std::isfinite(seconds) && seconds > 0 && seconds < 1e11;
}

void keep_latest(std::optional<double>& kept, double seconds) {
  kept = std::max(kept.value_or(0), seconds);
}

/// Whether the series is of this family; nullopt: without a family.
std::optional<bool> is_of(const Series& series, Family family) {
  const auto label = series.labels.find("ip_family");
  if (label == series.labels.end()) return std::nullopt;
  return equal_ignoring_case(label->second, to_string(family));
}

void take_last_sync(const Series& series, ProxyMetrics& metrics) {
  if (!plausible(series.value)) return;
  keep_latest(metrics.last_sync, series.value);
  for (std::size_t i = 0; i < kFamilies.size(); ++i) {
    const auto own = is_of(series, kFamilies[i]);
    metrics.by_family = metrics.by_family || own.has_value();
    if (own.value_or(false)) keep_latest(metrics.last_sync_of[i], series.value);
  }
}

void take_restore_failures(const Series& series, ProxyMetrics& metrics) {
  if (!std::isfinite(series.value) || series.value < 0) return;
  for (std::size_t i = 0; i < kFamilies.size(); ++i) {
    if (!is_of(series, kFamilies[i]).value_or(true)) continue;
    metrics.restore_failures[i] = metrics.restore_failures[i].value_or(0) + series.value;
  }
}

void take_version(const Series& series, ProxyMetrics& metrics) {
  constexpr std::size_t kLongest = 64;
  const auto version = series.labels.find("git_version");
  if (version == series.labels.end() || version->second.empty()) return;
  const bool clean = std::all_of(version->second.begin(), version->second.end(),
                                 [](char c) { return c > ' ' && c < 0x7f; });
  if (clean && version->second.size() <= kLongest) metrics.version = version->second;
}

void take_line(std::string_view line, ProxyMetrics& metrics) {
  if (line.starts_with("kubeproxy_")) metrics.is_kube_proxy = true;
  if (line.size() > kMaxLine) return;
  struct Known {
    std::string_view name;
    void (*take)(const Series&, ProxyMetrics&);
  };
  static constexpr std::array kSeries{
      Known{kLastSync, take_last_sync}, Known{kRestoreFailures, take_restore_failures},
      Known{kPartialRestoreFailures, take_restore_failures}, Known{kBuildInfo, take_version}};
  for (const auto& [name, take] : kSeries) {
    if (!line.starts_with(name)) continue;
    if (const auto series = parse_series(line.substr(name.size()))) take(*series, metrics);
  }
}

}  // namespace

Result<ProxyMode> parse_proxy_mode(std::string_view body) {
  const std::string_view word = trimmed(body);
  for (const ProxyMode mode : {ProxyMode::kIptables, ProxyMode::kIpvs, ProxyMode::kNftables}) {
    if (word == to_string(mode)) return mode;
  }
  return Error{ErrorKind::kBadInput,
               "/proxyMode returned " + in_quotes(word) + ", which is not a mode"};
}

ProxyMetrics parse_proxy_metrics(std::string_view text) {
  ProxyMetrics metrics;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    take_line(text.substr(0, end), metrics);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return metrics;
}

}  // namespace nmanager::neighbour
