#include "plugin/settings/definitions.h"

#include <array>
#include <utility>

#include "plugin/settings/parse.h"

namespace nmanager::settings {

namespace {

// The first spelling of a value is shown.
constexpr std::array kSwitchWords{Word<Switch>{"auto", Switch::kAuto},
                                  Word<Switch>{"true", Switch::kOn},
                                  Word<Switch>{"false", Switch::kOff},
                                  Word<Switch>{"1", Switch::kOn}, Word<Switch>{"0", Switch::kOff}};
constexpr std::array kDropWords{
    Word<Switch>{"auto", Switch::kAuto}, Word<Switch>{"true", Switch::kOn},
    Word<Switch>{"false", Switch::kOff}, Word<Switch>{"count", Switch::kCount},
    Word<Switch>{"1", Switch::kOn},      Word<Switch>{"0", Switch::kOff}};
constexpr std::array kMatchWords{Word<MatchBy>{"port", MatchBy::kPort},
                                 Word<MatchBy>{"address", MatchBy::kAddress}};
constexpr std::array kPolicyWords{Word<ExternalPolicy>{"local", ExternalPolicy::kLocal},
                                  Word<ExternalPolicy>{"all", ExternalPolicy::kAll}};
constexpr std::array kBackendWords{Word<BackendChoice>{"auto", BackendChoice::kAuto},
                                   Word<BackendChoice>{"iptables-legacy", BackendChoice::kLegacy},
                                   Word<BackendChoice>{"iptables-nft", BackendChoice::kNft},
                                   Word<BackendChoice>{"nftables", BackendChoice::kNftables}};
constexpr std::array kFamilyWords{Word<FamilyChoice>{"auto", FamilyChoice::kAuto},
                                  Word<FamilyChoice>{"ipv4", FamilyChoice::kIpv4},
                                  Word<FamilyChoice>{"ipv6", FamilyChoice::kIpv6},
                                  Word<FamilyChoice>{"dual", FamilyChoice::kDual}};
constexpr std::array kModeWords{
    Word<ProxyMode>{"auto", ProxyMode::kAuto}, Word<ProxyMode>{"iptables", ProxyMode::kIptables},
    Word<ProxyMode>{"ipvs", ProxyMode::kIpvs}, Word<ProxyMode>{"nftables", ProxyMode::kNftables}};
constexpr std::array kWatchWords{Word<WatchMode>{"event", WatchMode::kEvent},
                                 Word<WatchMode>{"poll", WatchMode::kPoll}};
constexpr std::array kReadyWords{Word<ReadyWhen>{"rules", ReadyWhen::kRules},
                                 Word<ReadyWhen>{"alive", ReadyWhen::kAlive}};
constexpr std::array kFormatWords{Word<LogFormat>{"text", LogFormat::kText},
                                  Word<LogFormat>{"json", LogFormat::kJson}};
constexpr std::array kLevelWords{
    Word<std::string_view>{"debug", "debug"}, Word<std::string_view>{"info", "info"},
    Word<std::string_view>{"warning", "warning"}, Word<std::string_view>{"error", "error"},
    Word<std::string_view>{"warn", "warning"}};

struct Names {
  std::string_view flag;
  std::string_view env;
  std::string values;
  std::string_view help;
};

/// `parse` converts text to Result<T>, `show` a T to text.
template <class T, class Parse, class Show>
SettingDefinition define(Names names, Setting<T> Settings::*member, Parse parse, Show show) {
  SettingDefinition definition;
  definition.flag = names.flag;
  definition.env = names.env;
  definition.values = std::move(names.values);
  definition.help = names.help;
  definition.set = [=](std::string_view text, Origin origin, Settings& settings) -> Status {
    auto value = parse(text);
    if (!value) return value.error();
    settings.*member = Setting<T>{T(std::move(*value)), origin};
    return {};
  };
  definition.show = [=](const Settings& settings) { return show((settings.*member).value); };
  definition.origin = [=](const Settings& settings) { return (settings.*member).origin; };
  return definition;
}

template <class T, class E, std::size_t N>
SettingDefinition define_words(Names names, Setting<T> Settings::*member,
                               const std::array<Word<E>, N>& words) {
  for (const Word<E>& word : words) {
    // Only the displayed spelling: the others are accepted for compatibility.
    if (show_word(std::span<const Word<E>>(words), word.value) != word.text) continue;
    names.values += (names.values.empty() ? "" : "|") + std::string(word.text);
  }
  return define(
      std::move(names), member,
      [&words](std::string_view text) { return parse_word(std::span<const Word<E>>(words), text); },
      [&words](const T& value) { return show_word(std::span<const Word<E>>(words), E(value)); });
}

SettingDefinition define_text(Names names, Setting<std::string> Settings::*member) {
  return define(
      std::move(names), member,
      [](std::string_view text) -> Result<std::string> {
        if (is_printable(text)) return std::string(text);
        return Error{ErrorKind::kBadInput, in_quotes(text) + " holds control characters"};
      },
      [](const std::string& value) { return value; });
}

template <class Parse>
SettingDefinition define_endpoint(Names names, Setting<std::string> Settings::*member,
                                  Parse parse) {
  return define(
      std::move(names), member,
      [parse](std::string_view text) -> Result<std::string> {
        const auto endpoint = parse(text);
        if (!endpoint) return endpoint.error();
        return to_string(*endpoint);
      },
      [](const std::string& value) { return value; });
}

SettingDefinition define_pod_cidr(Names names, Setting<std::optional<Prefix>> Settings::*member,
                                  Family family) {
  auto definition = define(
      std::move(names), member,
      [family](std::string_view text) { return parse_pod_cidr(family, text); },
      [](const std::optional<Prefix>& value) { return value ? to_string(*value) : std::string(); });
  definition.from_kube_proxy = true;
  const auto set = definition.set;
  definition.set = [=](std::string_view text, Origin origin, Settings& settings) -> Status {
    const Status done = set(text, origin, settings);
    const auto& prefix = (settings.*member).value;
    if (done && has_host_bits(text, *prefix)) {
      settings.notes.push_back(
          {WarningCode::kSettingAdjusted,
           "pod CIDR " + in_quotes(text) + " has host bits set: taken as " + to_string(*prefix)});
    }
    return done;
  };
  return definition;
}

SettingDefinition with_kube_proxy(SettingDefinition definition) {
  definition.from_kube_proxy = true;
  return definition;
}

std::vector<SettingDefinition> rule_settings() {
  return {
      define_pod_cidr(
          {"pod-cidr-ipv4", "POD_CIDR_IPV4", "CIDR",
           "The cluster's IPv4 pods; without it the external-cluster rules are the node's only."},
          &Settings::pod_cidr_ipv4, Family::kIpv4),
      define_pod_cidr({"pod-cidr-ipv6", "POD_CIDR_IPV6", "CIDR", "The cluster's IPv6 pods."},
                      &Settings::pod_cidr_ipv6, Family::kIpv6),
      define_words({"rule-drop-invalid-input-enable", "RULE_DROP_INVALID_INPUT_ENABLE", "",
                    "Drop INVALID packets in INPUT; auto: not while nf_conntrack_tcp_be_liberal is "
                    "set; count: drop none."},
                   &Settings::drop_invalid_input, kDropWords),
      define_words({"rule-drop-invalid-forward-enable", "RULE_DROP_INVALID_FORWARD_ENABLE", "",
                    "Drop INVALID packets of pods in FORWARD; auto: in kube-proxy's nftables mode, "
                    "not while nf_conntrack_tcp_be_liberal is set; count: drop none."},
                   &Settings::drop_invalid_forward, kDropWords),
      define(
          {"rule-drop-invalid-input-exempt", "RULE_DROP_INVALID_INPUT_EXEMPT",
           "iface:NAME,src:CIDR,dst:CIDR,...",
           "What is left alone by these rules, for routing that is asymmetric on purpose."},
          &Settings::drop_invalid_exempt,
          [](std::string_view text) { return parse_exemptions(text); },
          [](const Exemptions& value) { return to_string(value); }),
      define_words({"rule-external-cluster-enable", "RULE_EXTERNAL_CLUSTER_ENABLE", "",
                    "Make external addresses reachable from inside; only ever done in IPVS mode."},
                   &Settings::external_cluster, kSwitchWords),
      define_words({"rule-external-cluster-match", "RULE_EXTERNAL_CLUSTER_MATCH", "",
                    "Match a Service's ports, or its whole external address."},
                   &Settings::external_match, kMatchWords),
      define_words({"external-cluster-policy", "EXTERNAL_CLUSTER_POLICY", "",
                    "Services of which externalTrafficPolicy get these rules."},
                   &Settings::external_policy, kPolicyWords),
  };
}

std::vector<SettingDefinition> node_settings() {
  return {
      define_words({"backend", "NMANAGER_BACKEND", "",
                    "Which kind of tables holds the rules; auto follows kube-proxy and kubelet on "
                    "this node."},
                   &Settings::backend, kBackendWords),
      define_words({"ip-family", "NMANAGER_IP_FAMILY", "", "Families to keep rules for."},
                   &Settings::ip_family, kFamilyWords),
      define_words({"proxy-mode", "NMANAGER_PROXY_MODE", "",
                    "kube-proxy's mode; auto asks kube-proxy itself, then its "
                    "config file, then the kernel."},
                   &Settings::proxy_mode, kModeWords),
      define_words({"watch", "NMANAGER_WATCH", "",
                    "Notice changes of the tables by the kernel's events, or by looking."},
                   &Settings::watch, kWatchWords),
      with_kube_proxy(define(
          {"masquerade-bit", "NMANAGER_MASQUERADE_BIT", "0..31",
           "Bit of the packet mark that kube-proxy masquerades."},
          &Settings::masquerade_bit,
          [](std::string_view text) { return parse_number(text, 0, 31); },
          [](int value) { return std::to_string(value); })),
      define(
          {"lock-wait", "NMANAGER_LOCK_WAIT", "DURATION",
           "Longest wait for the xtables lock before trying again later; at most 15s."},
          &Settings::lock_wait, [](std::string_view text) { return parse_lock_wait(text); },
          [](std::chrono::milliseconds value) { return to_string(value); }),
  };
}

std::vector<SettingDefinition> process_settings() {
  return {
      with_kube_proxy(define_text({"kubeconfig", "NMANAGER_KUBECONFIG", "FILE",
                                   "Access to the API; else kube-proxy's kubeconfig.conf, else the "
                                   "service account."},
                                  &Settings::kubeconfig)),
      define_text({"kube-proxy-config", "NMANAGER_KUBE_PROXY_CONFIG", "FILE",
                   "kube-proxy's configuration, which gives what is not set here."},
                  &Settings::kube_proxy_config),
      with_kube_proxy(
          define_endpoint({"kube-proxy-metrics", "NMANAGER_KUBE_PROXY_METRICS", "ADDRESS:PORT",
                           "Where kube-proxy answers /proxyMode and /metrics."},
                          &Settings::kube_proxy_metrics,
                          [](std::string_view text) { return parse_endpoint(text); })),
      define_endpoint({"listen", "NMANAGER_LISTEN", "ADDRESS:PORT",
                       "Where /livez, /readyz and /metrics are served; loopback only."},
                      &Settings::listen,
                      [](std::string_view text) { return parse_loopback_endpoint(text); }),
      define_words({"ready-when", "NMANAGER_READY_WHEN", "",
                    "When /readyz passes: rules and cluster agree, or the process is alive; alive "
                    "never holds back a rollout of kube-proxy."},
                   &Settings::ready_when, kReadyWords),
      define_words({"log-level", "NMANAGER_LOG_LEVEL", "", "The least that is logged."},
                   &Settings::log_level, kLevelWords),
      define_words({"log-format", "NMANAGER_LOG_FORMAT", "", "Form of the log lines."},
                   &Settings::log_format, kFormatWords),
  };
}

}  // namespace

const std::vector<SettingDefinition>& setting_definitions() {
  static const std::vector<SettingDefinition> all = [] {
    auto definitions = rule_settings();
    for (auto& more : {node_settings(), process_settings()}) {
      definitions.insert(definitions.end(), more.begin(), more.end());
    }
    return definitions;
  }();
  return all;
}

std::vector<SettingShown> effective_settings(const Settings& settings) {
  std::vector<SettingShown> shown;
  for (const SettingDefinition& definition : setting_definitions()) {
    shown.push_back({std::string(definition.flag), definition.show(settings),
                     std::string(to_string(definition.origin(settings)))});
  }
  return shown;
}

std::string settings_line(const Settings& settings) {
  std::string line;
  for (const SettingShown& setting : effective_settings(settings)) {
    if (!line.empty()) line += ", ";
    line += setting.name + "=" + (setting.value.empty() ? "-" : setting.value) + " (" +
            setting.origin + ")";
  }
  return line;
}

}  // namespace nmanager::settings
