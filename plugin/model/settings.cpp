#include "plugin/model/settings.h"

namespace nmanager {

std::string_view to_string(Origin origin) {
  switch (origin) {
    case Origin::kDefault:
      return "default";
    case Origin::kKubeProxyConfig:
      return "kube-proxy config";
    case Origin::kEnvironment:
      return "environment";
    case Origin::kFlag:
      return "flag";
  }
  return "?";
}

std::string_view to_string(BackendChoice choice) {
  switch (choice) {
    case BackendChoice::kAuto:
      return "auto";
    case BackendChoice::kLegacy:
      return "iptables-legacy";
    case BackendChoice::kNft:
      return "iptables-nft";
    case BackendChoice::kNftables:
      return "nftables";
  }
  return "?";
}

const Setting<std::optional<Prefix>>& pod_cidr(const Settings& settings, Family family) {
  return family == Family::kIpv4 ? settings.pod_cidr_ipv4 : settings.pod_cidr_ipv6;
}

bool knows_pod_cidr(const Settings& settings) {
  return settings.pod_cidr_ipv4.value || settings.pod_cidr_ipv6.value;
}

}  // namespace nmanager
