// kube-proxy's own configuration file (KubeProxyConfiguration v1alpha1, config.conf in its
// ConfigMap): the fields that nmanager uses. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hooks/values/address.h"
#include "hooks/values/result.h"
#include "plugin/model/settings.h"

namespace nmanager::settings {

/// kubeadm's file has 2 KiB. A larger one than this is refused, since the parsed tree takes up to
/// 270 times its size.
inline constexpr std::size_t kMaxConfigBytes = std::size_t{64} << 10;

struct KubeProxyConfig {
  std::optional<Prefix> pod_cidr_ipv4;  // of clusterCIDR: one block, or a pair in any order
  std::optional<Prefix> pod_cidr_ipv6;
  /// kAuto: not in the file. `mode: ""` is kube-proxy's default, iptables on Linux; a file without
  /// the key has no mode, since it may have been truncated before it.
  ProxyMode mode = ProxyMode::kAuto;
  std::optional<int> iptables_masquerade_bit;  // also for IPVS mode; nullopt: 14
  std::optional<int> nftables_masquerade_bit;
  std::string metrics_address;    // "" = not in the file
  std::string detect_local_mode;  // "" = ClusterCIDR
  std::string kubeconfig;         // clientConnection.kubeconfig
  std::optional<bool> tcp_be_liberal;
  std::vector<std::string> problems;  // unusable values, one line each

  bool operator==(const KubeProxyConfig&) const = default;
};

/// Fails if the text as a whole is not such a file: not YAML, or without its kind, for example when
/// it was truncated. A single bad value is a problem, the rest is used. Never throws.
[[nodiscard]] Result<KubeProxyConfig> parse_kube_proxy_config(std::string_view text);

}  // namespace nmanager::settings
