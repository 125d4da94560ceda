// Parses kube-proxy's /proxyMode and the few series of /metrics that we use. Pure.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "hooks/values/address.h"
#include "hooks/values/result.h"
#include "plugin/model/settings.h"

namespace nmanager::neighbour {

/// Parses "ipvs", "iptables" or "nftables"; surrounding white space is ignored. kBadInput: anything
/// else.
[[nodiscard]] Result<ProxyMode> parse_proxy_mode(std::string_view body);

struct ProxyMetrics {
  bool is_kube_proxy = false;  // the text has at least one series of kube-proxy
  /// kubeproxy_sync_proxy_rules_last_timestamp_seconds, seconds since 1970: the latest of all
  /// series (older versions of kube-proxy have one, newer ones one per family). nullopt: never
  /// synced.
  std::optional<double> last_sync;
  /// By family, in the order of kFamilies, where the series have a label ip_family.
  std::array<std::optional<double>, kFamilies.size()> last_sync_of;
  bool by_family = false;  // they have: a family without a series has never synced
  /// kubeproxy_sync_proxy_rules_iptables_restore_failures_total and its _partial_ sibling, by
  /// family; without the label both families have the sum. Nothing: no such series.
  std::array<std::optional<double>, kFamilies.size()> restore_failures;
  std::optional<std::string> version;  // kubernetes_build_info{git_version}

  bool operator==(const ProxyMetrics&) const = default;
};

/// Parses Prometheus' text format; malformed lines are ignored.
[[nodiscard]] ProxyMetrics parse_proxy_metrics(std::string_view text);

}  // namespace nmanager::neighbour
