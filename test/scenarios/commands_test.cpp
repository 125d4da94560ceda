// The program as its operator uses it: commands, and what it reports when something blocks it.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <sstream>

#include "test/scenarios/node.h"
#include "test/support/denial.h"

namespace nmanager::test {
namespace {

void put_many_services(Node& node) {
  node.api().services().put(
      to_json({"web", {"10.96.0.10", "fd96::10"}, {"192.0.2.10", "2001:db8::10"}, {"TCP:80"}}));
  for (int i = 0; i < 20; ++i) {  // a tree of chains
    const std::string n = std::to_string(i);
    node.api().services().put(to_json({"s" + n, {"10.96.1." + n}, {"198.51.100." + n}, {"UDP:5"}}));
  }
}

CommandResult plan(const Node& node, const std::vector<std::string>& more = {}) {
  std::string flags;
  for (const std::string& flag : base_flags(node)) flags += ' ' + flag;
  for (const std::string& flag : more) flags += ' ' + flag;
  return run(std::string(NMANAGER_BINARY) + " plan" + flags + " 2>/dev/null");
}

/// Feeds each part of a plan to the program that its first line names.
void restore(const Node& node, const std::string& text) {
  std::istringstream lines(text);
  std::string program;
  std::string part;
  const auto flush = [&] {
    if (!part.empty()) node.sh(program, part);
    part.clear();
  };
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("# ")) {
      flush();
      const auto at = line.find("for ") + 4;
      program = line.substr(at);
      if (program.starts_with("nft ")) program += " -";
    } else {
      part += line + "\n";
    }
  }
  flush();
}

}  // namespace

TEST_CASE("plan prints what run would write, and writes nothing") {
  Node node;
  if (!node.usable()) return;
  put_many_services(node);
  const auto first = plan(node);
  REQUIRE_MESSAGE(first.exit_code == 0, first.output);
  CHECK(run("nft list tables").output.empty());
  std::string names;
  std::ifstream("/proc/thread-self/net/ip_tables_names") >> names;
  CHECK(names.empty());
  restore(node, first.output);
  const std::string planned = node.our_rules();
  CHECK(planned.find(native() ? "198.51.100.19 . udp . 5" : "NMANAGER_PRE_") != std::string::npos);
  const auto second = plan(node);
  CHECK(second.exit_code == 0);
  if (!native()) CHECK(second.output == "");  // nft's parser adds an expression to a rule
  const Sidecar sidecar(node);
  REQUIRE_MESSAGE(eventually([&] { return sidecar.settled(); }), sidecar.log());
  CHECK(node.our_rules() == planned);
  if (!native()) CHECK(sidecar.metric("nmanager_table_syncs_total").value_or(0) == 0);
  // From one state to another.
  node.flush("nat", "NMANAGER_OUTPUT");
  REQUIRE(eventually([&] { return node.our_rules() == planned; }));
}

TEST_CASE("plan includes the rules of another backend and of a left-out family, to be removed") {
  Node node;
  if (!node.usable()) return;
  put_many_services(node);
  const std::string other = backend() == "iptables-legacy" ? "iptables-nft" : "iptables-legacy";
  const std::string saved = other.substr(other.find('-')) + "-save";
  {
    const Sidecar sidecar(node, {"--backend", other});
    REQUIRE_MESSAGE(eventually([&] { return sidecar.settled(); }), sidecar.log());
  }
  REQUIRE(run("iptables" + saved).output.find("NMANAGER_") != std::string::npos);
  const auto planned = plan(node);
  CHECK(planned.exit_code == 0);
  restore(node, planned.output);
  CHECK(run("iptables" + saved).output.find("NMANAGER_") == std::string::npos);
  CHECK(run("ip6tables" + saved).output.find("NMANAGER_") == std::string::npos);

  REQUIRE(node.our_rules().find("2001:db8::10") != std::string::npos);
  for (const char* const family : {"ipv4", "ipv6", "ipv4"}) {
    CAPTURE(family);
    const auto one = plan(node, {"--ip-family", family});
    CHECK(one.exit_code == 0);
    restore(node, one.output);
    const bool v4 = family == std::string("ipv4");
    CHECK((node.our_rules().find("2001:db8::10") == std::string::npos) == v4);
    CHECK((node.our_rules().find("192.0.2.10") != std::string::npos) == v4);
  }
}

TEST_CASE("a plan of Services from a file, without any API server") {
  Node node;
  if (!node.usable()) return;
  const std::string list = std::string(NMANAGER_SOURCE_DIR) + "/test/fixtures/api/list.json";
  const auto result = run(std::string(NMANAGER_BINARY) + " plan --services " + list +
                          " --proxy-mode ipvs --backend " + backend() + " 2>/dev/null");
  CHECK(result.exit_code == 0);
  CHECK(translate(result.output));
}

TEST_CASE("--watch poll: without events every change is still repaired") {
  Node node;
  if (!node.usable()) return;
  put_many_services(node);
  const Sidecar sidecar(node, {"--watch", "poll"});
  REQUIRE_MESSAGE(eventually([&] { return sidecar.settled(); }), sidecar.log());
  const std::string ours = node.our_rules();
  const std::vector<std::string> damages =
      native() ? std::vector<std::string>{"nft flush chain inet nmanager NMANAGER_OUTPUT",
                                          "nft flush map inet nmanager cluster_ipv4"}
               : std::vector<std::string>{"iptables -t nat -F NMANAGER_EX_CLUS_OUTPUT",
                                          "iptables -D INPUT -j NMANAGER_INPUT",
                                          "iptables -t nat -I PREROUTING -j NMANAGER_PREROUTING",
                                          "iptables -t nat -N NMANAGER_STRAY"};
  for (const std::string& damage : damages) {
    CAPTURE(damage);
    node.sh(damage);
    CHECK(eventually([&] { return node.our_rules() == ours && node.misplaced().empty(); }));
  }
}

TEST_CASE("the program that displaced our rules is named") {
  Node node;
  if (!node.usable()) return;
  const Sidecar sidecar(node);
  REQUIRE_MESSAGE(eventually([&] { return sidecar.settled(); }), sidecar.log());
  node.flush("filter", "NMANAGER_INPUT");
  CHECK(eventually(
      [&] { return sidecar.log().find("IPv4 filter: repaired after") != std::string::npos; }));
  // Only nf_tables reports which program it was.
  const bool named = variant() == "nft";
  const std::string who = native() ? "nft" : "iptables";
  CHECK((sidecar.log().find("(changed by " + who + ")") != std::string::npos) == named);
  const std::string told = "last displaced by " + who;
  CHECK(eventually(
      [&] { return (sidecar.get("/readyz?verbose").find(told) != std::string::npos) == named; }));
}

TEST_CASE("iptables-legacy's lock is held too long: it is named, and waited for") {
  Node node;
  if (!node.usable()) return;
  put_many_services(node);
  const std::string path = node.folder() + "/xtables.lock";
  const int lock = open(path.c_str(), O_CREAT | O_CLOEXEC | O_RDONLY, 0600);
  REQUIRE(flock(lock, LOCK_EX) == 0);
  const Sidecar sidecar(node, {"--backend", "iptables-legacy", "--lock-wait", "50ms"});
  CHECK(eventually([&] {
    const std::string checks = sidecar.get("/readyz?verbose");
    return checks.find("[-]table-ipv4-filter failed") != std::string::npos &&
           checks.find(path) != std::string::npos;
  }));
  CHECK(sidecar.log().find(path) != std::string::npos);
  CHECK(sidecar.get("/livez").find("ok") != std::string::npos);
  CHECK(sidecar.alive());
  close(lock);
  CHECK_MESSAGE(eventually([&] { return sidecar.settled(); }), sidecar.log());
  CHECK(sidecar.log().find("IPv4 filter: works again") != std::string::npos);
}

TEST_CASE("a kernel without IPv6: no error unless it is requested, and IPv4 is kept") {
  Node node;
  if (!node.usable()) return;
  put_many_services(node);
  for (const std::string family : {"auto", "dual"}) {
    CAPTURE(family);
    std::optional<Sidecar> sidecar;
    // The child inherits the filter: it cannot open any socket for IPv6.
    in_thread_denied({{Call::kSocket, AF_INET6, EAFNOSUPPORT}}, [&] {
      sidecar.emplace(node, std::vector<std::string>{"--backend", "iptables-legacy", "--ip-family",
                                                     family, "--pod-cidr-ipv6", ""});
    });
    const bool asked = family == "dual";
    CHECK_MESSAGE(eventually([&] {
                    const std::string checks = sidecar->get("/readyz?verbose");
                    return checks.find("[+]table-ipv4-nat") != std::string::npos &&
                           checks.find(asked ? "[-]table-ipv6-filter failed"
                                             : "[+]table-ipv6-filter") != std::string::npos;
                  }),
                  sidecar->get("/readyz?verbose"));
    CHECK(sidecar->get("/readyz?verbose").find("the kernel has no IPv6") != std::string::npos);
    CHECK(node.sh("iptables-legacy -S INPUT").find("-j NMANAGER_INPUT") != std::string::npos);
  }
}

TEST_CASE("a kernel without nf_tables: iptables-legacy, but only where it is in use") {
  Node node;
  if (!node.usable()) return;
  put_many_services(node);
  std::optional<Sidecar> sidecar;
  in_thread_denied({{Call::kSocket, AF_NETLINK, EPROTONOSUPPORT}}, [&] {
    sidecar.emplace(node, std::vector<std::string>{"--backend", "auto"});
  });
  CHECK_MESSAGE(eventually([&] {
                  const std::string checks = sidecar->get("/readyz?verbose");
                  return checks.find("iptables-legacy cannot be used") != std::string::npos &&
                         checks.find("no IPv4 filter table of iptables-legacy") !=
                             std::string::npos;
                }),
                sidecar->get("/readyz?verbose"));
  std::string names;
  std::ifstream("/proc/thread-self/net/ip_tables_names") >> names;
  CHECK(names.empty());
  node.sh("iptables-legacy -t mangle -N KUBE-IPTABLES-HINT");
  CHECK_MESSAGE(eventually([&] { return sidecar->settled(); }, std::chrono::seconds(60)),
                sidecar->get("/readyz?verbose"));
  CHECK(node.sh("iptables-legacy -S INPUT").find("-j NMANAGER_INPUT") != std::string::npos);
}

}  // namespace nmanager::test
