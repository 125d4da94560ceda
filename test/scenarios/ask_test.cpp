// What a person asks the program: help, status and explain, and what their exit codes mean.
#include <doctest/doctest.h>

#include "plugin/model/warning.h"
#include "test/scenarios/node.h"

namespace nmanager::test {
namespace {

const std::string kSource = NMANAGER_SOURCE_DIR;

/// What is wrong with `json` according to docs/NAME.schema.json; empty: nothing.
std::string against_schema(const std::string& name, const std::string& json) {
  return run("/usr/bin/python3 " + kSource + "/test/json_schema.py " + kSource + "/docs/" + name +
                 ".schema.json",
             json)
      .output;
}

void put_services(Node& node) {
  node.api().services().put(to_json({"web", {"10.96.0.10"}, {"192.0.2.10"}, {"TCP:80"}}));
  node.api().services().put(
      to_json({"zoo", {"10.96.0.11"}, {"192.0.2.10", "2001:db8::1"}, {"TCP:80"}}));
}

}  // namespace

TEST_CASE(
    "status: the cures, what is wrong, unambiguous exit codes, JSON that matches its schema") {
  Node node;
  if (!node.usable()) return;
  put_services(node);
  CHECK(nmanager(node, "status --nonsense").exit_code == 2);
  CHECK(nmanager(node, "status").exit_code == 3);
  const Sidecar sidecar(node);
  REQUIRE_MESSAGE(eventually([&] { return sidecar.settled(); }), sidecar.log());
  const auto waiting = nmanager(node, "status");
  CHECK(waiting.exit_code == 1);
  CHECK(waiting.output.starts_with("problem 1, "));
  CHECK_MESSAGE(contains(waiting.output, "not ready, only because kube-proxy has not synced: "),
                waiting.output);
  CHECK(sidecar.get("/readyz").starts_with("waiting for kube-proxy, and for nothing else: "));
  const auto early = nmanager(node, "status -o json");
  CHECK(early.exit_code == 1);
  CHECK(against_schema("status", early.output) == "");
  node.kube_proxy_syncs();
  CHECK(eventually([&] { return nmanager(node, "status").exit_code == 0; }));
  const auto text = nmanager(node, "status").output;
  CHECK_MESSAGE(contains(text, "reset: ON, 0 INVALID packets dropped"), text);
  CHECK_MESSAGE(contains(text, "from inside: ON, 2 of 2 Services have rules\n"), text);
  CHECK_MESSAGE(contains(text, "to Services are reset: NOT NEEDED: IPVS translates"), text);
  CHECK_FALSE(contains(text, "settings:"));
  CHECK(contains(nmanager(node, "status --settings").output, "proxy-mode = ipvs (flag)"));
  CHECK(contains(nmanager(node, "status -v").output, "proxy-mode = ipvs (flag)"));
  const auto json = nmanager(node, "status -o json");
  CHECK(json.exit_code == 0);
  CHECK(against_schema("status", json.output) == "");
  CHECK(contains(against_schema("status", "{}"), "required"));
}

TEST_CASE("a healthy setup has no warnings") {
  Node node;
  if (!node.usable()) return;
  put_services(node);
  node.kube_proxy_syncs();
  const Sidecar sidecar(node);
  REQUIRE_MESSAGE(eventually([&] { return sidecar.ready(); }), sidecar.get("/readyz?verbose"));
  for (const WarningCode code : kWarningCodes) {
    if (code == WarningCode::kApiInsecure) continue;  // this API server speaks plain HTTP
    CHECK_MESSAGE(
        sidecar.metric("nmanager_warnings", "\"" + std::string(to_string(code)) + "\"") == 0.0,
        sidecar.get("/readyz?verbose"));
  }
}

TEST_CASE("without a pod CIDR half of problem 2 is off, which is the first warning") {
  Node node;
  if (!node.usable()) return;
  put_services(node);
  const Sidecar sidecar(node, {"--pod-cidr-ipv4", "", "--pod-cidr-ipv6", ""});
  CHECK(eventually(
      [&] { return sidecar.metric("nmanager_warnings", "code=\"pod_cidr_missing\"") == 1.0; }));
  CHECK(contains(sidecar.get("/status"), "this node's own traffic only: no pod CIDR is known"));
  CHECK(contains(sidecar.get("/status"), "warning pod_cidr_missing: HALF OF PROBLEM 2"));
}

TEST_CASE("explain: answered by the running process, or worked out without one") {
  Node node;
  if (!node.usable()) return;
  put_services(node);
  std::string flags;
  for (const std::string& flag : base_flags(node)) flags += " '" + flag + "'";
  const auto explain = [&](const std::string& what) {
    return nmanager(node, "explain " + what + flags);
  };
  const std::string kRules =
      "default/web has rules:\n  192.0.2.10, tcp 80 -> 10.96.0.10, for pods in 10.244.0.0/16 and "
      "this node";
  const auto alone = explain("default/web");
  CHECK(alone.exit_code == 0);
  CHECK_MESSAGE(alone.output == kRules + "; NOT IN PLACE: no nmanager runs here\n", alone.output);
  const Sidecar sidecar(node);
  REQUIRE_MESSAGE(eventually([&] { return sidecar.settled(); }), sidecar.log());
  const auto web = explain("default/web");
  CHECK(web.exit_code == 0);
  CHECK_MESSAGE(web.output == kRules + "\n", web.output);
  const auto zoo = explain("default/zoo");
  CHECK(zoo.exit_code == 1);
  CHECK_MESSAGE(contains(zoo.output,
                         "  192.0.2.10: another Service has the address, protocol and "
                         "port already (default/web)\n"),
                zoo.output);
  CHECK(contains(zoo.output, "  2001:db8::1: no ClusterIP of the address' family\n"));
  CHECK(explain("default/none").output == "default/none has no rules: there is no such Service\n");
  CHECK(contains(explain("--skipped").output, "no_cluster_ip_of_family: "));
  CHECK(explain("--skipped conflict").output ==
        "conflict: another Service has the address, protocol and port already\n"
        "  default/zoo 192.0.2.10, which default/web has\n");
  for (const std::string what : {"default/web", "default/zoo", "--skipped"}) {
    CHECK(against_schema("explain", explain(what + " -o json").output) == "");
  }
  const std::string list = kSource + "/test/fixtures/api/list.json";
  CHECK(explain("--skipped --services " + list).exit_code == 0);
}

TEST_CASE("bare nmanager on a terminal prints the help; in a container without one it runs") {
  Node node;
  if (!node.usable()) return;
  const std::string program = NMANAGER_BINARY;
  const auto terminal = [&](const std::string& environment, const std::string& command) {
    return run(environment + " script -qec '" + command + "' /dev/null </dev/null").output;
  };
  CHECK(contains(terminal("TERM=xterm", program), "\x1b[1mCommands:\x1b[0m"));
  CHECK(contains(terminal("NO_COLOR=1 TERM=xterm", program), "\nCommands:"));
  CHECK(contains(run(program + " help status").output, "  3  no process answers\n"));
  CHECK(run(program + " help status").output == run(program + " status --help").output);
  const auto running =
      run("NMANAGER_LISTEN=127.0.0.1:10399 timeout 0.5 " + program + " </dev/null 2>&1 | cat");
  CHECK_MESSAGE(contains(running.output, " starts: "), running.output);
}

TEST_CASE("man and the shells accept the manual and the completions that the build made") {
  const std::string build =
      std::string(NMANAGER_BINARY).substr(0, std::string(NMANAGER_BINARY).rfind('/') + 1);
  CHECK(run("man --warnings -l " + build + "nmanager.8 >/dev/null").output == "");
  const std::string complete = "source " + build +
                               "completions/nmanager.bash; c() { COMP_WORDS=(nmanager \"$@\"); "
                               "COMP_CWORD=$#; _nmanager; echo \"${COMPREPLY[*]}\"; }; ";
  const auto bash = [&](const std::string& words) {
    return run("bash -c '" + complete + "c " + words + "'").output;
  };
  CHECK(bash("stat") == "status\n");
  CHECK(bash("status --output js") == "json\n");
  CHECK(bash("status --sett") == "--settings\n");
  CHECK(bash("help expl") == "explain\n");
  CHECK(bash("--backend nf") == "nftables\n");
  CHECK(bash("run --outp") == "\n");
}

TEST_CASE("--ready-when alive: nmanager never blocks a rollout, and other answers stay truthful") {
  Node node;
  if (!node.usable()) return;
  const Sidecar sidecar(node, {"--ready-when", "alive"});
  CHECK(eventually([&] { return sidecar.ready(); }));
  CHECK(sidecar.metric("nmanager_ready") == 0.0);
  CHECK(nmanager(node, "status").exit_code == 1);
}

}  // namespace nmanager::test
