// What an operator should read once: stable codes for programs, words for people.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace nmanager {

/// Most urgent first; shown in this order. Names of the metric label `code`: once released, a code
/// keeps its name and its meaning.
enum class WarningCode : std::uint8_t {
  kPodCidrMissing,          // no pod CIDR: the pods' half of a cure is off
  kPodCidrWrong,            // the pod CIDR does not cover pods of this node
  kPodDetection,            // kube-proxy knows pods by other means than their address
  kContested,               // another agent keeps undoing our rules
  kProxyModeUnknown,        // kube-proxy's mode could not be found out
  kExternalClusterRefused,  // the rules of problem 2 were asked for where they would do harm
  kKubeRuleMissing,         // kube-proxy's own rule for problem 3 is not in KUBE-FORWARD
  kBackend,                 // the backend in use is not the one to be expected, or in doubt
  kApiAccess,               // the way to the API server could not be read
  kApiInsecure,             // the connection to the API server is not protected as it should be
  kConfigUnreadable,        // kube-proxy's configuration exists, or was named, and cannot be used
  kConfigValue,             // a value in it cannot be used
  kUnknownVariable,         // a variable of the environment that names no setting
  kSettingAdjusted,         // a setting was taken as something else than what was written
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
