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

}  // namespace nmanager
