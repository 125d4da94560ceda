// Every setting from each of its sources, in the order of precedence.
#include <doctest/doctest.h>

#include <algorithm>
#include <cctype>
#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

#include "plugin/settings/definitions.h"
#include "plugin/settings/help.h"
#include "plugin/settings/load.h"
#include "plugin/settings/merge.h"

namespace nmanager {
using namespace nmanager::settings;
namespace {

struct Case {
  std::string flag;
  std::string in_default;  // as shown
  std::string by_flag;     // given, and shown so
  std::string in_env;
  std::string by_file;  // "": not in kube-proxy's files
  std::vector<std::string> bad;
};

// One line for each setting; the first test fails if one is missing.
const std::vector<Case> kCases{
    {"pod-cidr-ipv4",
     "",
     "10.1.0.0/16",
     "10.2.0.0/16",
     "10.3.0.0/16",
     {"x", "10.0.0.0", "fd00::/8", "0.0.0.0/0", "10.0.0.0/33", "10.0.0.0/8,10.9.0.0/16"}},
    {"pod-cidr-ipv6", "", "fd01::/64", "fd02::/64", "fd03::/64", {"fd00::1", "10.0.0.0/8", "::/0"}},
    {"rule-drop-invalid-input-enable",
     "true",
     "false",
     "auto",
     "",
     {"yes", "2", "on", " true", "counted"}},
    {"rule-drop-invalid-forward-enable", "auto", "count", "true", "", {"yes", "drop"}},
    {"rule-drop-invalid-input-exempt",
     "",
     "iface:cali+,src:192.0.2.0/24,dst:2001:db8::1/128",
     "src:10.0.0.1/32",
     "",
     {"eth0", "iface:", "iface:+", "iface:a/b", "iface:sixteen-letters-", "src:x", "src:0.0.0.0/0",
      "dst:", "sport:1"}},
    {"rule-external-cluster-enable", "auto", "false", "true", "", {"ipvs", "tru"}},
    {"rule-external-cluster-match", "port", "address", "address", "", {"ports", "1"}},
    {"external-cluster-policy", "local", "all", "all", "", {"cluster"}},
    {"backend", "auto", "iptables-legacy", "iptables-nft", "", {"legacy", "nft"}},
    {"ip-family", "auto", "ipv4", "dual", "", {"4", "both"}},
    {"proxy-mode", "auto", "ipvs", "nftables", "", {"userspace", "IPVS mode"}},
    {"watch", "event", "poll", "poll", "", {"0"}},
    {"masquerade-bit", "14", "0", "31", "15", {"32", "-1", "+1", "0x4", "14.0", "99999999999"}},
    {"lock-wait", "5s", "500ms", "2s", "", {"5", "0s", "-1s", "5h", "61m", "s", "1e3s"}},
    {"kubeconfig", "", "/flag", "/env", "/file", {"a\nb", "\x1b[2J"}},
    {"kube-proxy-config", "/var/lib/kube-proxy/config.conf", "/flag", "/env", "", {"a\nb"}},
    {"kube-proxy-metrics",
     "127.0.0.1:10249",
     "127.0.0.1:1",
     "[::1]:2",
     "192.0.2.7:3",
     {"localhost:1", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:65536", "::1:1", "[127.0.0.1]:1",
      ":1"}},
    {"listen",
     "127.0.0.1:10261",
     "127.9.9.9:1",
     "[::1]:2",
     "",
     {"0.0.0.0:1", "[::]:1", ":1", "192.0.2.1:1", "localhost:1", "[2001:db8::1]:1"}},
    {"ready-when", "rules", "alive", "alive", "", {"never", "Rule"}},
    {"log-level", "info", "debug", "warning", "", {"trace", "3"}},
    {"log-format", "text", "json", "json", "", {"yaml"}},
};

Result<Settings> parse(std::initializer_list<std::string> arguments, const Environment& env = {}) {
  std::vector<const char*> argv{"nmanager"};
  for (const std::string& argument : arguments) argv.push_back(argument.c_str());
  return parse_settings(static_cast<int>(argv.size()), argv.data(), env);
}

const SettingDefinition* definition_of(const std::string& flag) {
  const auto& all = setting_definitions();
  const auto found =
      std::find_if(all.begin(), all.end(), [&](const auto& one) { return one.flag == flag; });
  return found == all.end() ? nullptr : &*found;
}

/// kube-proxy's files with a value for every setting that can come from them.
KubeProxyFiles all_told() {
  KubeProxyConfig config;
  config.pod_cidr_ipv4 = Prefix::parse("10.3.0.0/16");
  config.pod_cidr_ipv6 = Prefix::parse("fd03::/64");
  config.iptables_masquerade_bit = 15;
  config.metrics_address = "192.0.2.7:3";
  KubeProxyFiles files;
  files.config = config;
  files.kubeconfig = "/file";
  return files;
}

std::string shown(const Settings& settings, const std::string& flag) {
  const SettingDefinition& definition = *definition_of(flag);
  return definition.show(settings) + " by " + std::string(to_string(definition.origin(settings)));
}

TEST_CASE("cases and settings match one to one") {
  std::vector<std::string> defined;
  for (const auto& definition : setting_definitions()) defined.emplace_back(definition.flag);
  std::vector<std::string> tested;
  for (const Case& one : kCases) tested.push_back(one.flag);
  std::sort(defined.begin(), defined.end());
  std::sort(tested.begin(), tested.end());
  CHECK(defined == tested);
}

TEST_CASE("precedence: flag, environment, kube-proxy's files, default") {
  for (const Case& one : kCases) {
    CAPTURE(one.flag);
    const SettingDefinition& definition = *definition_of(one.flag);
    const std::string flag = "--" + one.flag;
    const Environment env{{std::string(definition.env), one.in_env}};
    CHECK(definition.from_kube_proxy == !one.by_file.empty());

    const auto nothing = parse({});
    const auto by_env = parse({}, env);
    const auto by_both = parse({flag, one.by_flag}, env);
    const auto glued = parse({flag + "=" + one.by_flag});
    const auto behind_command = parse({"status", flag, one.by_flag});
    REQUIRE(nothing.ok());
    REQUIRE_MESSAGE(by_env.ok(), by_env.error().message);
    REQUIRE_MESSAGE(by_both.ok(), by_both.error().message);
    REQUIRE(glued.ok());
    REQUIRE(behind_command.ok());

    CHECK(shown(*nothing, one.flag) == one.in_default + " by default");
    CHECK(shown(*by_env, one.flag) == one.in_env + " by environment");
    CHECK(shown(*by_both, one.flag) == one.by_flag + " by flag");
    CHECK(shown(*glued, one.flag) == one.by_flag + " by flag");
    CHECK(shown(*behind_command, one.flag) == one.by_flag + " by flag");

    const KubeProxyFiles files = all_told();
    const std::string by_file = one.by_file.empty() ? one.in_default + " by default"
                                                    : one.by_file + " by kube-proxy config";
    CHECK(shown(merge_kube_proxy_files(*nothing, files), one.flag) == by_file);
    CHECK(shown(merge_kube_proxy_files(*by_env, files), one.flag) ==
          one.in_env + " by environment");
    CHECK(shown(merge_kube_proxy_files(*by_both, files), one.flag) == one.by_flag + " by flag");
  }
}

TEST_CASE("an empty value is treated as not set") {
  for (const Case& one : kCases) {
    CAPTURE(one.flag);
    const SettingDefinition& definition = *definition_of(one.flag);
    const Environment empty{{std::string(definition.env), ""}};
    const Environment set{{std::string(definition.env), one.in_env}};
    for (const auto& settings :
         {parse({}, empty), parse({"--" + one.flag + "="}), parse({"--" + one.flag, ""}),
          parse({"plan", "--" + one.flag, ""})}) {
      REQUIRE_MESSAGE(settings.ok(), settings.error().message);
      CHECK(shown(*settings, one.flag) == one.in_default + " by default");
    }
    const auto by_env = parse({"--" + one.flag, ""}, set);
    REQUIRE(by_env.ok());
    CHECK(shown(*by_env, one.flag) == one.in_env + " by environment");
  }
}

TEST_CASE("a malformed value is refused from flag and environment, and named") {
  for (const Case& one : kCases) {
    const SettingDefinition& definition = *definition_of(one.flag);
    const std::string env_name(definition.env);
    for (const std::string& bad : one.bad) {
      CAPTURE(one.flag);
      CAPTURE(bad);
      const auto by_flag = parse({"--" + one.flag, bad});
      REQUIRE_FALSE(by_flag.ok());
      CHECK(by_flag.error().kind == ErrorKind::kBadInput);
      CHECK(by_flag.error().message.find("--" + one.flag + ": ") != std::string::npos);
      CHECK(by_flag.error().message.find('\n') == std::string::npos);
      const auto by_env = parse({}, {{env_name, bad}});
      REQUIRE_FALSE(by_env.ok());
      CHECK(by_env.error().message.find(env_name + ": ") != std::string::npos);
      // A flag does not hide it.
      CHECK_FALSE(parse({"--" + one.flag, one.by_flag}, {{env_name, bad}}).ok());
    }
  }
}

TEST_CASE("names in the environment: the original's unchanged, the others with NMANAGER_") {
  const std::vector<std::string> original{"POD_CIDR_IPV4",
                                          "POD_CIDR_IPV6",
                                          "RULE_DROP_INVALID_INPUT_ENABLE",
                                          "RULE_DROP_INVALID_INPUT_EXEMPT",
                                          "RULE_DROP_INVALID_FORWARD_ENABLE",
                                          "RULE_EXTERNAL_CLUSTER_ENABLE",
                                          "RULE_EXTERNAL_CLUSTER_MATCH",
                                          "EXTERNAL_CLUSTER_POLICY"};
  std::size_t originals = 0;
  for (const SettingDefinition& definition : setting_definitions()) {
    std::string name(definition.flag);
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) {
      return c == '-' ? '_' : static_cast<char>(std::toupper(c));
    });
    const bool is_original = std::find(original.begin(), original.end(), name) != original.end();
    originals += is_original ? 1 : 0;
    CHECK(std::string(definition.env) == (is_original ? name : "NMANAGER_" + name));
  }
  CHECK(originals == original.size());
}

TEST_CASE("help names every flag, its variable, its default and every command") {
  const std::string help = help_text(Paint(false));
  for (const Case& one : kCases) {
    const SettingDefinition& definition = *definition_of(one.flag);
    const auto at = help.find("\n  --" + one.flag + " " + definition.values + "\n");
    REQUIRE_MESSAGE(at != std::string::npos, one.flag);
    const std::string entry = help.substr(at, help.find("\n\n", at) - at);
    const std::string fallback = one.in_default.empty() ? "none" : one.in_default;
    CHECK(entry.find(std::string(definition.env) + ". Default: " + fallback) != std::string::npos);
  }
  for (const char* command : {"run", "plan", "status", "cleanup", "version"}) {
    CHECK(help.find("\n  " + std::string(command) + " ") != std::string::npos);
  }
}

TEST_CASE("effective settings and the start line show value and origin of each") {
  const auto settings = parse({"--listen", "127.0.0.1:9"}, {{"POD_CIDR_IPV4", "10.2.0.0/16"}});
  REQUIRE(settings.ok());
  const auto list = effective_settings(*settings);
  CHECK(list.size() == kCases.size());
  const std::string line = settings_line(*settings);
  for (const SettingShown& one : list) {
    const std::string value = one.value.empty() ? "-" : one.value;
    CHECK(line.find(one.name + "=" + value + " (" + one.origin + ")") != std::string::npos);
  }
  CHECK(line.find("listen=127.0.0.1:9 (flag)") != std::string::npos);
  CHECK(line.find("pod-cidr-ipv4=10.2.0.0/16 (environment)") != std::string::npos);
  CHECK(line.find('\n') == std::string::npos);
}

}  // namespace
}  // namespace nmanager
