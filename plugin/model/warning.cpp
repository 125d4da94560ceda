#include "plugin/model/warning.h"

namespace nmanager {

std::string_view to_string(WarningCode code) {
  switch (code) {
    case WarningCode::kPodCidrMissing:
      return "pod_cidr_missing";
    case WarningCode::kPodCidrWrong:
      return "pod_cidr_wrong";
    case WarningCode::kPodDetection:
      return "pod_detection";
    case WarningCode::kContested:
      return "contested";
    case WarningCode::kProxyModeUnknown:
      return "proxy_mode_unknown";
    case WarningCode::kExternalClusterRefused:
      return "external_cluster_refused";
    case WarningCode::kKubeRuleMissing:
      return "kube_rule_missing";
    case WarningCode::kBackend:
      return "backend";
    case WarningCode::kApiAccess:
      return "api_access";
    case WarningCode::kApiInsecure:
      return "api_insecure";
    case WarningCode::kConfigUnreadable:
      return "config_unreadable";
    case WarningCode::kConfigValue:
      return "config_value";
    case WarningCode::kUnknownVariable:
      return "unknown_variable";
    case WarningCode::kSettingAdjusted:
      return "setting_adjusted";
  }
  return "?";
}

}  // namespace nmanager
