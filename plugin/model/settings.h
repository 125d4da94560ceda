// Every setting of the program with its effective value and its source.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hooks/intent/table_spec.h"
#include "hooks/values/address.h"
#include "hooks/values/result.h"
#include "plugin/model/proxy_mode.h"
#include "plugin/model/warning.h"

namespace nmanager {

/// Precedence: flag > environment > kube-proxy's files > default.
enum class Origin : std::uint8_t { kDefault, kKubeProxyConfig, kEnvironment, kFlag };
[[nodiscard]] std::string_view to_string(Origin origin);

template <class T>
struct Setting {
  T value{};
  Origin origin = Origin::kDefault;
};

enum class Switch : std::uint8_t { kAuto, kOn, kOff, kCount };  // kCount: for the drops only
enum class BackendChoice : std::uint8_t { kAuto, kLegacy, kNft, kNftables };
[[nodiscard]] std::string_view to_string(BackendChoice choice);  // "iptables-nft", ...
enum class FamilyChoice : std::uint8_t { kAuto, kIpv4, kIpv6, kDual };

/// No rules are kept for `family`.
[[nodiscard]] constexpr bool leaves_out(FamilyChoice choice, Family family) {
  return choice == (family == Family::kIpv4 ? FamilyChoice::kIpv6 : FamilyChoice::kIpv4);
}
enum class ExternalPolicy : std::uint8_t { kLocal, kAll };
enum class LogFormat : std::uint8_t { kText, kJson };
enum class WatchMode : std::uint8_t { kEvent, kPoll };
enum class ReadyWhen : std::uint8_t { kRules, kAlive };
enum class Command : std::uint8_t {
  kRun,
  kPlan,
  kStatus,
  kExplain,
  kDiagnose,
  kCleanup,
  kCompletion,
  kVersion,
  kHelp
};
enum class OutputFormat : std::uint8_t { kText, kJson };

/// Options of a command other than settings; each applies to some commands only.
struct CommandOptions {
  std::string operand;                        // explain NS/NAME, completion SHELL, help COMMAND
  std::string services_file;                  // --services FILE
  OutputFormat output = OutputFormat::kText;  // --output
  bool show_settings = false;                 // --settings, --verbose
  bool skipped = false;                       // --skipped
  bool probe = false;                         // --probe
  bool manual = false;                        // --man
  std::chrono::milliseconds watch_for{std::chrono::minutes(1)};  // --for DURATION
};

struct Settings {
  Command command = Command::kRun;
  Setting<std::optional<Prefix>> pod_cidr_ipv4;         // POD_CIDR_IPV4
  Setting<std::optional<Prefix>> pod_cidr_ipv6;         // POD_CIDR_IPV6
  Setting<Switch> drop_invalid_input{Switch::kOn};      // RULE_DROP_INVALID_INPUT_ENABLE
  Setting<Switch> drop_invalid_forward{Switch::kAuto};  // RULE_DROP_INVALID_FORWARD_ENABLE
  Setting<Switch> external_cluster{Switch::kAuto};      // RULE_EXTERNAL_CLUSTER_ENABLE
  Setting<MatchBy> external_match{MatchBy::kPort};      // RULE_EXTERNAL_CLUSTER_MATCH
  Setting<ExternalPolicy> external_policy{ExternalPolicy::kLocal};  // EXTERNAL_CLUSTER_POLICY
  Setting<Exemptions> drop_invalid_exempt;  // RULE_DROP_INVALID_INPUT_EXEMPT, for both drops
  Setting<BackendChoice> backend{BackendChoice::kAuto};  // NMANAGER_BACKEND
  Setting<FamilyChoice> ip_family{FamilyChoice::kAuto};  // NMANAGER_IP_FAMILY
  Setting<ProxyMode> proxy_mode{ProxyMode::kAuto};       // NMANAGER_PROXY_MODE
  Setting<WatchMode> watch{WatchMode::kEvent};           // NMANAGER_WATCH
  Setting<int> masquerade_bit{14};                       // NMANAGER_MASQUERADE_BIT
  Setting<std::string> kubeconfig;  // NMANAGER_KUBECONFIG; "": see kube-proxy's
  Setting<std::string> kube_proxy_config{"/var/lib/kube-proxy/config.conf"};
  Setting<std::string> kube_proxy_metrics{"127.0.0.1:10249"};  // from metricsBindAddress
  Setting<std::string> listen{"127.0.0.1:10261"};              // NMANAGER_LISTEN; loopback only
  Setting<std::string> log_level{"info"};                      // NMANAGER_LOG_LEVEL
  Setting<LogFormat> log_format{LogFormat::kText};             // NMANAGER_LOG_FORMAT
  Setting<std::chrono::milliseconds> lock_wait{std::chrono::seconds(5)};
  Setting<ReadyWhen> ready_when{ReadyWhen::kRules};  // NMANAGER_READY_WHEN
  CommandOptions options;
  std::string detect_local_mode;             // as in kube-proxy's config, "" = ClusterCIDR
  ProxyMode config_mode = ProxyMode::kAuto;  // mode in kube-proxy's config; kAuto: not set
  std::vector<Warning> notes;                // warnings for the operator at start
  std::vector<std::string> remarks;          // not problems: for the log only
};

[[nodiscard]] const Setting<std::optional<Prefix>>& pod_cidr(const Settings& settings,
                                                             Family family);
/// For at least one family.
[[nodiscard]] bool knows_pod_cidr(const Settings& settings);

}  // namespace nmanager
