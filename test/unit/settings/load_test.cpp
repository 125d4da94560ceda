// The command line as a whole: commands, problems, the environment of a pod.
#include "plugin/settings/load.h"

#include <doctest/doctest.h>

#include <random>
#include <set>
#include <string>
#include <vector>

#include "plugin/settings/commands.h"
#include "plugin/settings/definitions.h"
#include "plugin/settings/help.h"
#include "plugin/settings/parse.h"
#include "test/support/sanitized.h"
#include "test/unit/settings/recorded.h"

namespace nmanager {
using namespace nmanager::settings;
namespace {

Result<Settings> parse(const std::vector<std::string>& arguments, const Environment& env = {}) {
  std::vector<const char*> argv{"nmanager"};
  for (const std::string& argument : arguments) argv.push_back(argument.c_str());
  return parse_settings(static_cast<int>(argv.size()), argv.data(), env);
}

TEST_CASE("commands") {
  struct Case {
    std::vector<std::string> arguments;
    Command command;
  };
  const std::vector<Case> cases{
      {{}, Command::kRun},
      {{"run"}, Command::kRun},
      {{"plan"}, Command::kPlan},
      {{"plan", "--services", "-"}, Command::kPlan},
      {{"status"}, Command::kStatus},
      {{"cleanup"}, Command::kCleanup},
      {{"explain", "default/web"}, Command::kExplain},
      {{"explain", "--skipped"}, Command::kExplain},
      {{"diagnose", "--for", "5s", "--probe", "-o", "json"}, Command::kDiagnose},
      {{"completion", "bash"}, Command::kCompletion},
      {{"help"}, Command::kHelp},
      {{"help", "status"}, Command::kHelp},
      {{"status", "-v", "--output=json"}, Command::kStatus},
      {{"version"}, Command::kVersion},
      {{"--version"}, Command::kVersion},
      {{"--help"}, Command::kHelp},
      {{"-h"}, Command::kHelp},
      {{"plan", "--help"}, Command::kHelp},
      {{"--log-level", "debug", "status"}, Command::kStatus},
      // --help is obeyed despite other errors.
      {{"--help", "--nonsense", "--listen", "x"}, Command::kHelp},
  };
  for (const Case& one : cases) {
    const auto settings = parse(one.arguments);
    REQUIRE_MESSAGE(settings.ok(), settings.error().message);
    CHECK(settings->command == one.command);
  }
}

TEST_CASE("plan takes a file of Services, and only plan does") {
  const auto plan = parse({"plan", "--services", "list.json", "--backend", "nftables"});
  REQUIRE(plan.ok());
  CHECK(plan->options.services_file == "list.json");
  CHECK(plan->backend.value == BackendChoice::kNftables);
  CHECK(parse({"plan", "--services=x"})->options.services_file == "x");
  CHECK_FALSE(parse({"run", "--services", "list.json"}).ok());
  CHECK_FALSE(parse({"--services", "list.json"}).ok());
  CHECK_FALSE(parse({"plan", "--services", "a", "--services", "b"}).ok());
}

TEST_CASE("one message names every problem") {
  struct Case {
    std::vector<std::string> arguments;
    Environment env;
    std::vector<std::string> named;
  };
  const std::vector<Case> cases{
      {{"--nonsense"}, {}, {"a problem in", "unknown flag '--nonsense'"}},
      {{"-x"}, {}, {"unknown flag '-x'"}},
      {{"start"}, {}, {"unknown command or argument 'start'"}},
      {{"run", "plan"}, {}, {"'plan'"}},
      {{"status", "now"}, {}, {"'now'"}},
      {{"--listen"}, {}, {"--listen has no value"}},
      {{"plan", "--services"}, {}, {"--services has no value"}},
      {{"--listen", "127.0.0.1:1", "--listen", "127.0.0.1:1"}, {}, {"--listen is given 2 times"}},
      {{"help", "nonsense"}, {}, {"there is no command 'nonsense'"}},
      {{"explain"}, {}, {"explain needs NAMESPACE/NAME"}},
      {{"explain", "web"}, {}, {"'web' is not NAMESPACE/NAME"}},
      {{"explain", "a/b\r\n"}, {}, {"is not NAMESPACE/NAME"}},
      {{"explain", "--skipped", "moon"}, {}, {"'moon' is none of the reasons", "conflict"}},
      {{"completion", "csh"}, {}, {"bash, zsh and fish, not 'csh'"}},
      {{"completion"}, {}, {"completion needs bash|zsh|fish"}},
      {{"status", "-o", "xml"}, {}, {"--output: 'xml' is none of text|json"}},
      {{"status", "-o"}, {}, {"-o has no value"}},
      {{"diagnose", "--for", "long"}, {}, {"--for: 'long' is not a duration"}},
      {{"run", "-o", "json"}, {}, {"'-o'"}},
      {{"--one", "--listen=0.0.0.0:1", "--masquerade-bit", "77", "--watch"},
       {{"POD_CIDR_IPV4", "ten"}, {"NMANAGER_BACKEND", "best"}},
       {"6 problems in", "'--one'", "--listen: '0.0.0.0:1' is not a loopback address",
        "--masquerade-bit: '77'", "--watch has no value", "POD_CIDR_IPV4: 'ten'",
        "NMANAGER_BACKEND: 'best' is none of auto|iptables-legacy|iptables-nft|nftables"}},
      {{"--rule-drop-invalid-input-exempt", "foo,src:x,iface:eth0"}, {}, {"'foo'", "'src:x'"}},
  };
  for (const Case& one : cases) {
    const auto settings = parse(one.arguments, one.env);
    REQUIRE_FALSE(settings.ok());
    CHECK(settings.error().kind == ErrorKind::kBadInput);
    CHECK(settings.error().message.find('\n') == std::string::npos);
    for (const std::string& part : one.named) {
      CHECK_MESSAGE(settings.error().message.find(part) != std::string::npos, "no [", part, "] in ",
                    settings.error().message);
    }
  }
}

TEST_CASE("Kubernetes' variables for a Service called nmanager are not reported") {
  const Environment pod{{"NMANAGER_SERVICE_HOST", "10.96.0.9"},
                        {"NMANAGER_SERVICE_PORT", "10261"},
                        {"NMANAGER_SERVICE_PORT_METRICS", "10261"},
                        {"NMANAGER_PORT", "tcp://10.96.0.9:10261"},
                        {"NMANAGER_PORT_10261_TCP", "tcp://10.96.0.9:10261"},
                        {"NMANAGER_PORT_10261_TCP_PROTO", "tcp"},
                        {"NMANAGER_PORT_10261_TCP_PORT", "10261"},
                        {"NMANAGER_PORT_10261_TCP_ADDR", "10.96.0.9"},
                        {"NMANAGER_METRICS_SERVICE_HOST", "10.96.0.8"},
                        {"NMANAGER_METRICS_PORT", "udp://10.96.0.8:1"},
                        {"NMANAGER_METRICS_PORT_1_UDP", "udp://10.96.0.8:1"},
                        {"PATH", "/bin"},
                        {"KUBERNETES_SERVICE_HOST", "10.96.0.1"}};
  const auto settings = parse({}, pod);
  REQUIRE_MESSAGE(settings.ok(), settings.error().message);
  CHECK(settings->notes.empty());
  for (const char* name : {"NMANAGER_PORT", "NMANAGER_PORT_X_TCP", "NMANAGER_TCP",
                           "NMANAGER_PORT_TCP", "NMANAGER_SERVICE", "NMANAGER__ADDR"}) {
    CHECK_MESSAGE(parse({}, {{name, "10261"}})->notes.size() == 1, name);
  }
}

TEST_CASE("unknown variables are reported, but are not an error") {
  struct Case {
    const char* name;
    const char* warns;  // part of the warning; empty: no warning
  };
  for (const Case& one : {
           Case{"NMANAGER_LISTENER", "NMANAGER_LISTEN may be meant"},
           Case{"NMANAGER_OF_THE_FUTURE", "this version does not know it"},
           Case{"RULE_DROP_INVALID_INPUT_ENABL", "RULE_DROP_INVALID_INPUT_ENABLE may be meant"},
           Case{"RULE_DROP_INVALID_INPUT_ENALBE", "RULE_DROP_INVALID_INPUT_ENABLE may be meant"},
           Case{"RULE_EXTERNAL_CLUSTER_ENABLED", "RULE_EXTERNAL_CLUSTER_ENABLE may be meant"},
           Case{"POD_CIDR_IPV5", "POD_CIDR_IPV"},
           Case{"POD_CIDR_IPV4", ""},
           Case{"POD_IP", ""},
           Case{"NODE_NAME", ""},
           Case{"KUBERNETES_PORT", ""},
           Case{"PATH", ""},
       }) {
    CAPTURE(std::string(one.name));
    const auto settings = parse({}, {{one.name, "10.0.0.0/8"}});
    REQUIRE(settings.ok());
    const std::string warns(one.warns);
    REQUIRE(settings->notes.size() == (warns.empty() ? 0 : 1));
    if (warns.empty()) continue;
    CHECK(settings->notes[0].code == WarningCode::kUnknownVariable);
    CHECK_MESSAGE(settings->notes[0].text.find(warns) != std::string::npos,
                  settings->notes[0].text);
    CHECK(settings->notes[0].text.find(in_quotes(one.name)) != std::string::npos);
  }
}

TEST_CASE("edit distance of two words") {
  CHECK(edit_distance("", "") == 0);
  CHECK(edit_distance("ENABLE", "ENABLE") == 0);
  CHECK(edit_distance("ENABL", "ENABLE") == 1);
  CHECK(edit_distance("ENALBE", "ENABLE") == 1);
  CHECK(edit_distance("XNABLX", "ENABLE") == 2);
  CHECK(edit_distance("ABCDEF", "GHIJKL") == 6);
  CHECK(edit_distance("A", "ABCDEFGH") > 2);
}

TEST_CASE("spellings of a switch") {
  const std::vector<std::pair<std::string, Switch>> cases{
      {"true", Switch::kOn},  {"TRUE", Switch::kOn},   {"True", Switch::kOn},
      {"1", Switch::kOn},     {"false", Switch::kOff}, {"FALSE", Switch::kOff},
      {"0", Switch::kOff},    {"fAlSe", Switch::kOff}, {"auto", Switch::kAuto},
      {"Auto", Switch::kAuto}};
  for (const auto& [text, value] : cases) {
    CHECK(parse({}, {{"RULE_DROP_INVALID_INPUT_ENABLE", text}})->drop_invalid_input.value == value);
    CHECK(parse({}, {{"RULE_DROP_INVALID_FORWARD_ENABLE", text}})->drop_invalid_forward.value ==
          value);
    CHECK(parse({}, {{"RULE_EXTERNAL_CLUSTER_ENABLE", text}})->external_cluster.value == value);
  }
}

TEST_CASE("count is a value of the drops only") {
  const auto settings = parse({"--rule-drop-invalid-input-enable", "count"},
                              {{"RULE_DROP_INVALID_FORWARD_ENABLE", "Count"}});
  REQUIRE(settings.ok());
  CHECK(settings->drop_invalid_input.value == Switch::kCount);
  CHECK(settings->drop_invalid_forward.value == Switch::kCount);
  CHECK_FALSE(parse({}, {{"RULE_EXTERNAL_CLUSTER_ENABLE", "count"}}).ok());
  CHECK(parse({}, {})->drop_invalid_forward.value == Switch::kAuto);
}

TEST_CASE("host bits of a pod CIDR are cleared, and this is reported") {
  const auto settings =
      parse({"--pod-cidr-ipv6", "fd00::1/64"}, {{"POD_CIDR_IPV4", "10.1.2.3/16"}});
  REQUIRE(settings.ok());
  CHECK(settings->pod_cidr_ipv4.value == Prefix::parse("10.1.0.0/16"));
  CHECK(settings->pod_cidr_ipv6.value == Prefix::parse("fd00::/64"));
  CHECK(settings->notes.size() == 2);
  CHECK(parse({"--pod-cidr-ipv4", "10.1.0.0/16"})->notes.empty());
}

TEST_CASE("exemptions of the DROP rule") {
  const auto settings =
      parse({"--rule-drop-invalid-input-exempt",
             "iface:eth0, src:192.0.2.1,,dst:2001:db8::/32,iface:wg+ ,src:fd00::/8"});
  REQUIRE_MESSAGE(settings.ok(), settings.error().message);
  const Exemptions& value = settings->drop_invalid_exempt.value;
  CHECK(value.interfaces == std::vector<std::string>{"eth0", "wg+"});
  CHECK(value.sources == std::vector{*Prefix::parse("192.0.2.1/32"), *Prefix::parse("fd00::/8")});
  CHECK(value.destinations == std::vector{*Prefix::parse("2001:db8::/32")});
}

TEST_CASE("the environment in the C library's form") {
  const char* const entries[] = {"A=1", "B=", "C=x=y", "no-equals", "A=2", nullptr};
  CHECK(environment_from(entries) == Environment{{"A", "1"}, {"B", ""}, {"C", "x=y"}});
  CHECK(environment_from(nullptr).empty());
}

TEST_CASE("no settings in a kubeadm cluster: all values come from kube-proxy's files") {
  const test::TemporaryDirectory directory;
  const std::string config = directory.write("config.conf", test::kubeadm_file("config.conf"));
  const std::string kubeconfig =
      directory.write("kubeconfig.conf", test::kubeadm_file("kubeconfig.conf"));
  const std::vector<const char*> argv{"nmanager"};
  const auto settings = load_settings(1, argv.data(), {{"NMANAGER_KUBE_PROXY_CONFIG", config}});
  REQUIRE(settings.ok());
  CHECK(settings->pod_cidr_ipv4.value == Prefix::parse("10.244.0.0/16"));
  CHECK(settings->pod_cidr_ipv4.origin == Origin::kKubeProxyConfig);
  CHECK_FALSE(settings->pod_cidr_ipv6.value);
  CHECK(settings->config_mode == ProxyMode::kIptables);
  CHECK(settings->masquerade_bit.value == 14);
  CHECK(settings->masquerade_bit.origin == Origin::kKubeProxyConfig);
  CHECK(settings->kubeconfig.value == kubeconfig);
  CHECK(settings->kube_proxy_metrics.value == "127.0.0.1:10249");
  // The path in the configuration is the one inside the container.
  CHECK(settings->notes.empty());
  REQUIRE(settings->remarks.size() == 1);
  CHECK(settings->remarks[0].find("/var/lib/kube-proxy/kubeconfig.conf") != std::string::npos);
}

TEST_CASE("any words on the command line give settings or a one-line error") {
  std::mt19937 random(20);
  const std::vector<std::string> words{
      "run",         "plan",      "status",     "--",          "-",
      "--=",         "=",         "--listen",   "--listen=",   "-h=1",
      "--services",  "",          "[",          "[]",          "[a,b]",
      "{}",          "%%",        "'",          "\"",          "\xff\xfe",
      "--\n",        "--help=no", "--version=", "--log-level", "debug",
      "explain",     "a/b",       "-o",         "json",        "--skipped",
      "help",        "--for",     "5s",         "-v",          "diagnose",
      "127.0.0.1:1", "--config",  "-1",         "a=b",         std::string(5000, 'x')};
  for (int round = 0; round < test::random_cases(5000); ++round) {
    std::vector<std::string> arguments;
    for (auto count = random() % 6; count > 0; --count) {
      arguments.push_back(words[random() % words.size()]);
    }
    const auto settings = parse(arguments);
    if (!settings) CHECK(settings.error().message.find('\n') == std::string::npos);
  }
}

TEST_CASE("help, manual and completions name every command, flag and setting") {
  std::vector<std::string> flags;
  for (const SettingDefinition& one : setting_definitions()) flags.emplace_back(one.flag);
  const std::string manual = manual_page("1.2.3");
  const auto holds = [](const std::string& text, const std::string& part) {
    CHECK_MESSAGE(text.find(part) != std::string::npos, part);
  };
  for (const CommandDefinition& command : command_definitions()) {
    const std::string name(command.name);
    holds(help_text(Paint(false)), "\n  " + name + " ");
    holds(manual, ".SS " + name + "\n");
    const std::string own = help_text(command, Paint(false));
    holds(own, "nmanager " + name);
    for (const auto& [code, meaning] : command.exit_codes) {
      holds(own, "  " + std::to_string(code) + "  " + std::string(meaning));
    }
    std::set<int> codes;
    for (const auto& exit : command.exit_codes) CHECK(codes.insert(exit.first).second);
    for (const CommandFlag& flag : command.flags) {
      holds(own, "--" + std::string(flag.flag));
      flags.emplace_back(flag.flag);
    }
    for (const char* shell : {"bash", "zsh", "fish"}) holds(*completion(shell), name);
  }
  for (const std::string& flag : flags) {
    holds(*completion("bash"), "--" + flag);
    holds(*completion("zsh"), "--" + flag + "[");
    holds(*completion("fish"), " -l " + flag + " ");
  }
  CHECK_FALSE(completion("csh"));
  CHECK(help_text(Paint(false)).find('\x1b') == std::string::npos);
  CHECK(help_text(Paint(true)).find("\x1b[1mstatus\x1b[0m") != std::string::npos);
}

}  // namespace
}  // namespace nmanager
