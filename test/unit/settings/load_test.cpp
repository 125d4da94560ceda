// The command line as a whole: commands, problems, the environment of a pod.
#include "plugin/settings/load.h"

#include <doctest/doctest.h>

#include <random>
#include <string>
#include <vector>

#include "plugin/settings/definitions.h"
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
      {{"status"}, Command::kStatus},
      {{"cleanup"}, Command::kCleanup},
      {{"version"}, Command::kVersion},
      {{"--version"}, Command::kVersion},
      {{"--help"}, Command::kHelp},
      {{"-h"}, Command::kHelp},
      {{"plan", "--help"}, Command::kHelp},
      {{"--log-level", "debug", "status"}, Command::kStatus},
      // Whoever asks for help gets it, whatever else is wrong.
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
  CHECK(plan->services_file == "list.json");
  CHECK(plan->backend.value == BackendChoice::kNftables);
  CHECK(parse({"plan", "--services=x"})->services_file == "x");
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
      {{}, {{"NMANAGER_LISTENER", "1"}}, {"unknown variable 'NMANAGER_LISTENER'"}},
      {{"--one", "--listen=0.0.0.0:1", "--masquerade-bit", "77", "--watch"},
       {{"POD_CIDR_IPV4", "ten"}, {"NMANAGER_X", ""}, {"NMANAGER_BACKEND", "best"}},
       {"7 problems in", "'--one'", "--listen: '0.0.0.0:1' is not a loopback address",
        "--masquerade-bit: '77'", "--watch has no value", "POD_CIDR_IPV4: 'ten'", "'NMANAGER_X'",
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

TEST_CASE("what Kubernetes puts into the environment for a Service called nmanager is no problem") {
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
  CHECK_MESSAGE(settings.ok(), settings.error().message);
  for (const char* name : {"NMANAGER_PORT", "NMANAGER_PORT_X_TCP", "NMANAGER_TCP",
                           "NMANAGER_PORT_TCP", "NMANAGER_SERVICE", "NMANAGER__ADDR"}) {
    CHECK_FALSE_MESSAGE(parse({}, {{name, "10261"}}).ok(), name);
  }
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

TEST_CASE("count is a value of the drops alone") {
  const auto settings = parse({"--rule-drop-invalid-input-enable", "count"},
                              {{"RULE_DROP_INVALID_FORWARD_ENABLE", "Count"}});
  REQUIRE(settings.ok());
  CHECK(settings->drop_invalid_input.value == Switch::kCount);
  CHECK(settings->drop_invalid_forward.value == Switch::kCount);
  CHECK_FALSE(parse({}, {{"RULE_EXTERNAL_CLUSTER_ENABLE", "count"}}).ok());
  CHECK(parse({}, {})->drop_invalid_forward.value == Switch::kAuto);
}

TEST_CASE("host bits of a pod CIDR are cleared, and that is told") {
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

TEST_CASE("the environment as the C library has it") {
  const char* const entries[] = {"A=1", "B=", "C=x=y", "no-equals", "A=2", nullptr};
  CHECK(environment_from(entries) == Environment{{"A", "1"}, {"B", ""}, {"C", "x=y"}});
  CHECK(environment_from(nullptr).empty());
}

TEST_CASE("nothing given in a kubeadm cluster: all comes from kube-proxy's files") {
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
  // The one it names is that of the container.
  REQUIRE(settings->notes.size() == 1);
  CHECK(settings->notes[0].find("/var/lib/kube-proxy/kubeconfig.conf") != std::string::npos);
}

TEST_CASE("any words on the command line end in settings or one line") {
  std::mt19937 random(20);
  const std::vector<std::string> words{
      "run",   "plan",        "status",    "--",        "-",          "--=",
      "=",     "--listen",    "--listen=", "-h=1",      "--services", "",
      "[",     "[]",          "[a,b]",     "{}",        "%%",         "'",
      "\"",    "\xff\xfe",    "--\n",      "--help=no", "--version=", "--log-level",
      "debug", "127.0.0.1:1", "--config",  "-1",        "a=b",        std::string(5000, 'x')};
  for (int round = 0; round < 5000; ++round) {
    std::vector<std::string> arguments;
    for (auto count = random() % 6; count > 0; --count) {
      arguments.push_back(words[random() % words.size()]);
    }
    const auto settings = parse(arguments);
    if (!settings) CHECK(settings.error().message.find('\n') == std::string::npos);
  }
}

}  // namespace
}  // namespace nmanager
