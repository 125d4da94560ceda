// Warnings for the operator: stable codes for programs, text for people.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace nmanager {

/// Most urgent first; shown in this order. Names of the metric label `code`: once released, a code
/// keeps its name and its meaning.
enum class WarningCode : std::uint8_t {
  kPodCidrMissing,          // no pod CIDR: the part of a cure for pods is off
  kPodCidrWrong,            // the pod CIDR does not cover pods of this node
  kPodDetection,            // kube-proxy detects pods by another method than their address
  kContested,               // another agent keeps undoing our rules
  kProxyModeUnknown,        // kube-proxy's mode could not be determined
  kExternalClusterRefused,  // the rules of problem 2 were requested where they would do harm
  kKubeRuleMissing,         // kube-proxy's own rule for problem 3 is not in KUBE-FORWARD
  kBackend,                 // the backend in use is not the expected one, or is in doubt
  kApiAccess,               // the access to the API server could not be read
  kApiInsecure,             // the connection to the API server is not fully protected
  kConfigUnreadable,        // kube-proxy's configuration exists, or was named, but is unusable
  kConfigValue,             // a value in it cannot be used
  kUnknownVariable,         // an environment variable that is not a setting
  kSettingAdjusted,         // a setting is used in a different form than written
};
inline constexpr std::array kWarningCodes{
    WarningCode::kPodCidrMissing,   WarningCode::kPodCidrWrong,
    WarningCode::kPodDetection,     WarningCode::kContested,
    WarningCode::kProxyModeUnknown, WarningCode::kExternalClusterRefused,
    WarningCode::kKubeRuleMissing,  WarningCode::kBackend,
    WarningCode::kApiAccess,        WarningCode::kApiInsecure,
    WarningCode::kConfigUnreadable, WarningCode::kConfigValue,
    WarningCode::kUnknownVariable,  WarningCode::kSettingAdjusted};

[[nodiscard]] std::string_view to_string(WarningCode code);  // "pod_cidr_missing", ...

struct Warning {
  WarningCode code = WarningCode::kBackend;
  std::string text;  // one line
  auto operator<=>(const Warning&) const = default;
};

}  // namespace nmanager
