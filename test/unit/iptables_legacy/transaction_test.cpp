// Plans applied to real tables: the result, what is kept, and the errors.
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "hooks/chains/rule_text.h"
#include "hooks/iptables_legacy/family.h"
#include "hooks/iptables_legacy/kernel.h"
#include "hooks/iptables_legacy/observe.h"
#include "test/support/capabilities.h"
#include "test/support/denial.h"
#include "test/support/tables.h"
#include "test/unit/iptables_legacy/sandbox.h"

namespace nmanager::test {
using namespace nmanager::chains;
using namespace nmanager::iptables_legacy;
namespace {

Rule tcp_port(std::uint16_t port) {
  Rule rule;
  rule.protocol = Protocol::kTcp;
  rule.destination_ports = {{port, port}};
  rule.target = Return{};
  return rule;
}

std::string line(std::uint16_t port) {
  return "-A NMANAGER_A " + to_string(tcp_port(port)) + "\n";
}

DesiredTable chain_of(const std::vector<std::uint16_t>& ports) {
  DesiredTable desired;
  auto& rules = desired.chains[ChainName("NMANAGER_A")];
  for (const auto port : ports) rules.push_back(tcp_port(port));
  return desired;
}

/// The jumps of a table, each to an empty chain.
DesiredTable jumps_of(TableId id) {
  DesiredTable desired;
  for (const Hook hook : kHooks) {
    const auto chain = hook_chain(id.table, hook);
    if (!chain) continue;
    desired.jumps.push_back(hook);
    desired.chains[*chain];
  }
  return desired;
}

std::string chain_text(TableId id, const std::string& chain) {
  return must(iptables(id) + " -S " + chain);
}

bool equal(const ObservedTable& a, const ObservedTable& b) {
  const auto equal_rule = [](const ObservedRule& x, const ObservedRule& y) {
    return x.rule == y.rule && x.ref == y.ref && x.packets == y.packets;
  };
  const auto equal_hook = [](const HookRule& x, const HookRule& y) {
    return x.kind == y.kind && x.ref == y.ref;
  };
  return std::ranges::equal(a.chains, b.chains,
                            [&](const auto& x, const auto& y) {
                              return x.first == y.first &&
                                     std::ranges::equal(x.second, y.second, equal_rule);
                            }) &&
         std::ranges::equal(a.hooks, b.hooks, [&](const auto& x, const auto& y) {
           return x.first == y.first && std::ranges::equal(x.second, y.second, equal_hook);
         });
}

bool exists(TableId id) {
  const auto answer = iptables_legacy::table_exists(id);
  return answer.ok() && *answer;
}

}  // namespace

TEST_CASE("any edit of a chain gives the desired rules, and kept rules keep their counters") {
  const Sandbox sandbox;
  if (!sandbox.usable()) return;
  struct Case {
    std::vector<std::uint16_t> before, after;
  };
  const std::vector<Case> cases = {
      {{}, {}},
      {{}, {1}},
      {{1}, {}},
      {{1}, {1}},
      {{1}, {2}},
      {{1, 2, 3}, {1, 2, 3}},
      {{1, 2, 3}, {3, 2, 1}},
      {{1, 2, 3}, {1, 3}},
      {{1, 2, 3}, {2}},
      {{1, 3}, {1, 2, 3}},
      {{2}, {1, 2, 3}},
      {{1, 2, 3}, {4, 1, 5, 2, 6, 3, 7}},
      {{4, 1, 5, 2, 6, 3, 7}, {1, 2, 3}},
      {{1, 2, 3, 4, 5}, {2, 3, 1, 5, 4}},
      {{1, 1, 1}, {1}},
      {{1}, {1, 1}},
      {{1, 2, 3}, {7, 8, 9, 10}},
  };
  const auto backend = make_legacy_backend(sandbox.options());
  for (const TableId id : kTables) {
    for (const Case& c : cases) {
      apply(*backend, id, {});
      std::string lines = ":NMANAGER_A - [0:0]\n";
      for (const auto port : c.before) {
        lines += '[' + std::to_string(1000 + port) + ":77] " + line(port);
      }
      restore(id, lines);
      const auto observed = look(*backend, id);
      const auto plan = make_plan(id, chain_of(c.after), observed);
      CAPTURE(to_restore_text(plan));
      apply(*backend, id, chain_of(c.after));
      std::string text = "-N NMANAGER_A\n";
      for (const auto port : c.after) text += line(port);
      CHECK(chain_text(id, "NMANAGER_A") == text);
      // Kept rules have their counters, inserted rules start at 0.
      std::size_t kept = 0;
      for (const ChainEdit& edit : plan.edits) {
        for (const EditStep& step : edit.steps) kept += std::holds_alternative<Keep>(step);
      }
      if (plan.empty()) kept = c.after.size();
      std::size_t counted = 0;
      const ObservedTable seen = look(*backend, id);
      for (const ObservedRule& rule : seen.chains.at(ChainName("NMANAGER_A"))) {
        if (rule.packets == 0) continue;
        ++counted;
        CHECK(rule.packets == 1000U + rule.rule->destination_ports.front().first);
      }
      CHECK(counted == kept);
    }
    apply(*backend, id, {});
  }
}

TEST_CASE("the jumps are where the plan places them, and no other rule of the hook moves") {
  const Sandbox sandbox;
  if (!sandbox.usable()) return;
  struct Case {
    const char* name;
    std::vector<const char*> before;  // rules of OUTPUT, or of INPUT in filter
    const char* nat;
    const char* filter;
  };
  const std::vector<Case> cases = {
      {"empty", {}, "+", "+"},
      {"missing", {"-s 10.1.0.0/16 -j RETURN", "-j KUBE-SVC-A"}, "r+k", "+rk"},
      {"in place", {"-s 10.1.0.0/16 -j RETURN", "-j OWN", "-j KUBE-SVC-A"}, "r+k", "r+k"},
      {"displaced", {"-j KUBE-SVC-A", "-j OWN"}, "+k", "+k"},
      {"displaced, others between",
       {"-j KUBE-SVC-A", "-s 10.1.0.0/16 -j RETURN", "-j OWN", "-s 10.1.0.0/16 -j RETURN"},
       "+krr",
       "+krr"},
      {"duplicated", {"-j OWN", "-j KUBE-SVC-A", "-j OWN", "-j OWN"}, "+k", "+k"},
      {"with a comment", {"-m comment --comment x -j OWN", "-j KUBE-SVC-A"}, "+k", "+k"},
      {"goto", {"-g OWN"}, "+", "+"},
      {"no KUBE jump", {"-s 10.1.0.0/16 -j RETURN", "-j OWN"}, "r+", "r+"},
      {"goto to KUBE", {"-g KUBE-SVC-A", "-j OWN"}, "+g", "+g"},
  };
  const auto backend = make_legacy_backend(sandbox.options());
  for (const TableId id : kTables) {
    const bool filter = id.table == Table::kFilter;
    const std::string hook = filter ? "INPUT" : "OUTPUT";
    const std::string own = "NMANAGER_" + hook;
    for (const Case& c : cases) {
      CAPTURE(to_string(id));
      CAPTURE(std::string(c.name));
      must(iptables(id) + " -F; " + iptables(id) + " -X");
      std::string lines = ":" + own + " - [0:0]\n:KUBE-SVC-A - [0:0]\n";
      for (const std::string rule : c.before) {
        std::string text = rule;
        if (const auto at = text.find("OWN"); at != std::string::npos) text.replace(at, 3, own);
        if (id.family == Family::kIpv6) {
          if (const auto at = text.find("10.1.0.0/16"); at != std::string::npos) {
            text.replace(at, 11, "fd00::/16");
          }
        }
        lines += "[7:70] -A " + hook + ' ' + text + '\n';
      }
      restore(id, lines);
      const std::string source = id.family == Family::kIpv4 ? "10.1.0.0/16" : "fd00::/16";
      std::string expected = "-P " + hook + " ACCEPT\n";
      for (const char c_rule : std::string(filter ? c.filter : c.nat)) {
        expected += "-A " + hook + ' ';
        if (c_rule == '+') expected += "-j " + own;
        if (c_rule == 'k') expected += "-j KUBE-SVC-A";
        if (c_rule == 'g') expected += "-g KUBE-SVC-A";
        if (c_rule == 'r') expected += "-s " + source + " -j RETURN";
        expected += '\n';
      }
      apply(*backend, id, jumps_of(id));
      CHECK(chain_text(id, hook) == expected);
      const ObservedTable seen = look(*backend, id);
      for (const HookRule& rule : seen.hooks.at(filter ? Hook::kInput : Hook::kOutput)) {
        CHECK(rule.kind != HookRule::Kind::kOwnJumpAltered);
      }
    }
  }
}

TEST_CASE("unwanted chains are deleted, except those that foreign chains jump to") {
  const Sandbox sandbox;
  if (!sandbox.usable()) return;
  const auto backend = make_legacy_backend(sandbox.options());
  for (const TableId id : kTables) {
    restore(id,
            ":NMANAGER_A - [0:0]\n:NMANAGER_B - [0:0]\n:NMANAGER_C - [0:0]\n:OTHER - [0:0]\n"
            "-A NMANAGER_A -j NMANAGER_B\n-A NMANAGER_B -g NMANAGER_C\n"
            "-A NMANAGER_C -j RETURN\n-A OTHER -j NMANAGER_B\n");
    const Commit commit = apply(*backend, id, {});
    CHECK(commit.still_referenced == std::set{ChainName("NMANAGER_B")});
    CHECK(chain_text(id, "NMANAGER_B") == "-N NMANAGER_B\n");
    CHECK(run(iptables(id) + " -S NMANAGER_A").exit_code == 1);
    CHECK(run(iptables(id) + " -S NMANAGER_C").exit_code == 1);
    CHECK(chain_text(id, "OTHER") == "-N OTHER\n-A OTHER -j NMANAGER_B\n");
    must(iptables(id) + " -F OTHER");
    CHECK(apply(*backend, id, {}).still_referenced.empty());
    CHECK(run(iptables(id) + " -S NMANAGER_B").exit_code == 1);
  }
}

TEST_CASE("a table is observed the same raw and through libiptc") {
  const Sandbox sandbox;
  if (!sandbox.usable()) return;
  const std::vector<std::string> tables = {
      "",
      ":NMANAGER_EMPTY - [0:0]\n",
      ":NMANAGER_A - [0:0]\n:KUBE-SVC-A - [0:0]\n[3:4] -A OUTPUT -j KUBE-SVC-A\n[5:6] -A "
      "NMANAGER_A -p tcp "
      "-j RETURN\n[8:9] -A NMANAGER_A -p tcp\n-A NMANAGER_A -j ACCEPT\n-A NMANAGER_A -j "
      "KUBE-SVC-A\n",
      ":NMANAGER_OUTPUT - [0:0]\n:NMANAGER_INPUT - [0:0]\n-A OUTPUT\n-A OUTPUT -j NMANAGER_OUTPUT\n"
      "-A OUTPUT -p udp -j NMANAGER_OUTPUT\n-A INPUT -j NMANAGER_INPUT\n"
      "-A NMANAGER_OUTPUT -m addrtype --dst-type LOCAL -j RETURN\n",
      ":AAA - [0:0]\n:ZZZ - [0:0]\n:NMANAGER_X - [0:0]\n-A NMANAGER_X -j AAA\n-A NMANAGER_X -g "
      "ZZZ\n-A AAA -j NMANAGER_X\n",
  };
  for (const TableId id : kTables) {
    for (const std::string& lines : tables) {
      must(iptables(id) + " -F; " + iptables(id) + " -X");
      restore(id, lines);
      const auto backend = make_legacy_backend(sandbox.options());
      const auto by_handle = look(*backend, id);  // a backend's first read
      const auto raw = look(*backend, id);        // no change since
      CAPTURE(lines);
      CHECK(equal(by_handle, raw));
      CHECK(by_handle.chains.size() == (lines.find(":NMANAGER_") == std::string::npos       ? 0U
                                        : lines.find("NMANAGER_INPUT") == std::string::npos ? 1U
                                                                                            : 2U));
    }
  }
}

TEST_CASE("a rule that another program wrote into our chain is observed, but not as ours") {
  const Sandbox sandbox;
  if (!sandbox.usable()) return;
  const auto backend = make_legacy_backend(sandbox.options());
  const std::vector<const char*> rules = {
      "-p tcp -m tcp --sport 5 -j RETURN",
      "! -s 10.0.0.0/8 -j RETURN",
      "-o eth0 -j RETURN",
      "-f -j RETURN",
      "-m limit --limit 1/sec -j RETURN",
      "-p icmp -j RETURN",
      "-j ACCEPT",
      "-m addrtype --src-type LOCAL --limit-iface-in -j RETURN",
      "-j LOG",
      "-m comment --comment a -p tcp -m tcp --dport 1 -j RETURN",  // another order
      "-p tcp",
      "-m mark --mark 1 -j RETURN",
      "-p tcp -m multiport --dports 80 -j RETURN"};
  std::string lines = ":NMANAGER_A - [0:0]\n";
  for (const char* rule : rules) lines += std::string("-A NMANAGER_A ") + rule + '\n';
  restore(kFilter4, lines);
  const ObservedChain seen = look(*backend, kFilter4).chains.at(ChainName("NMANAGER_A"));
  REQUIRE(seen.size() == rules.size());
  for (std::size_t i = 0; i < seen.size(); ++i) {
    CAPTURE(std::string(rules[i]));
    CHECK(!seen[i].rule.has_value());
  }
  apply(*backend, kFilter4, chain_of({1}));
  CHECK(chain_text(kFilter4, "NMANAGER_A") == "-N NMANAGER_A\n" + line(1));
}

TEST_CASE("a chain with our prefix and a name too long for us is not ours") {
  CHECK(is_own_chain("NMANAGER_" + std::string(19, 'X')));
  CHECK(!is_own_chain("NMANAGER_" + std::string(20, 'X')));
  CHECK(!is_own_chain("KUBE-SERVICES"));
}

TEST_CASE("a rival without the lock makes the commit return kRetry, for both read methods") {
  const Sandbox sandbox;
  if (!sandbox.usable()) return;
  const auto backend = make_legacy_backend(sandbox.options());
  for (const char* way : {"libiptc", "raw"}) {
    CAPTURE(std::string(way));
    auto transaction = backend->begin(kNat4);
    REQUIRE(transaction.ok());
    must(lockless(iptables(kNat4)) + " -A POSTROUTING -s 10.9.0.0/16 -j RETURN");
    const auto plan = make_plan(kNat4, chain_of({1}), (*transaction)->observed());
    const auto commit = (*transaction)->commit(plan);
    REQUIRE(!commit.ok());
    CHECK(commit.error().kind == ErrorKind::kRetry);
    CHECK(run(lockless(iptables(kNat4)) + " -S NMANAGER_A").exit_code == 1);
    must(lockless(iptables(kNat4)) + " -F POSTROUTING");
    transaction.value().reset();
    look(*backend, kNat4);  // after this, the next read is raw
  }
}

TEST_CASE("no foreign rule is removed, even if a rival puts one at our jump's index") {
  const Sandbox sandbox;
  if (!sandbox.usable()) return;
  const auto backend = make_legacy_backend(sandbox.options());
  restore(kNat4,
          ":NMANAGER_OUTPUT - [0:0]\n:OTHER - [0:0]\n"
          "-A OUTPUT -j NMANAGER_OUTPUT\n-A OUTPUT -j OTHER\n");
  look(*backend, kNat4);
  auto transaction = backend->begin(kNat4);
  REQUIRE(transaction.ok());
  const auto plan = make_plan(kNat4, {}, (*transaction)->observed());
  // The two rules swapped: the table has the same shape, so libiptc does not detect it.
  must(lockless("iptables-legacy-restore --noflush"),
       "*nat\n-D OUTPUT 1\n-A OUTPUT -j NMANAGER_OUTPUT\nCOMMIT\n");
  const auto commit = (*transaction)->commit(plan);
  REQUIRE(!commit.ok());
  CHECK(commit.error().kind == ErrorKind::kRetry);
  CHECK(must(lockless(iptables(kNat4)) + " -S OUTPUT") ==
        "-P OUTPUT ACCEPT\n-A OUTPUT -j OTHER\n-A OUTPUT -j NMANAGER_OUTPUT\n");
}

TEST_CASE("a table that does not exist is absent and is not created") {
  const Sandbox sandbox;
  if (!sandbox.usable()) return;
  LegacyOptions options = sandbox.options();
  options.create_tables = false;
  const auto backend = make_legacy_backend(options);
  const auto watch = make_legacy_watch(options);
  for (const TableId id : kTables) {
    const auto transaction = backend->begin(id);
    REQUIRE(!transaction.ok());
    CHECK(transaction.error().kind == ErrorKind::kAbsent);
    CHECK(transaction.error().message.find(to_string(id)) != std::string::npos);
    CHECK(!exists(id));
    const auto stamp = backend->kube_stamp(id.family);
    REQUIRE(stamp.ok());
    CHECK(*stamp == 0);
    const auto sum = backend->kube_checksum(id.family);
    REQUIRE(sum.ok());
    CHECK(*sum == KubeChecksum{});
  }
  (void)watch->drain();
  for (const TableId id : kTables) CHECK(!exists(id));
  CHECK(must("cat /proc/net/ip_tables_names /proc/net/ip6_tables_names") == "");

  must(iptables(kNat4) + " -S");
  CHECK(exists(kNat4));
  CHECK(!exists(kFilter4));
  CHECK(backend->begin(kNat4).ok());
  CHECK(!backend->begin(kFilter4).ok());
  options.create_tables = true;
  CHECK(make_legacy_backend(options)->begin(kFilter4).ok());
  CHECK(exists(kFilter4));
}

TEST_CASE("a refused write is reported with its cause") {
  const Sandbox sandbox;
  if (!sandbox.usable()) return;
  const auto commit_dnat = [&](TableId id) {
    const auto backend = make_legacy_backend(sandbox.options());
    Rule rule;
    rule.comment = "x";
    rule.target = Dnat{address("10.0.0.1")};
    DesiredTable desired;
    desired.chains[ChainName("NMANAGER_A")] = {rule};
    auto transaction = backend->begin(id);
    REQUIRE(transaction.ok());
    const auto commit = (*transaction)->commit(make_plan(id, desired, (*transaction)->observed()));
    REQUIRE(!commit.ok());
    return commit.error();
  };
  struct Case {
    const char* name;
    std::vector<Denial> denials;
    ErrorKind kind;
    const char* message;
  };
  const std::vector<Case> cases = {
      {"commit", {{Call::kSetsockopt, IPT_SO_SET_REPLACE, EPERM}}, ErrorKind::kDenied, "CAP_NET"},
      {"rival", {{Call::kSetsockopt, IPT_SO_SET_REPLACE, EAGAIN}}, ErrorKind::kRetry, "another"},
      {"memory", {{Call::kSetsockopt, IPT_SO_SET_REPLACE, ENOMEM}}, ErrorKind::kUnavailable, "mem"},
      // Without memory a module cannot be asked for either: that proves nothing about it.
      {"no memory for anything",
       {{Call::kSetsockopt, IPT_SO_SET_REPLACE, ENOMEM},
        {Call::kGetsockopt, IPT_SO_GET_REVISION_TARGET, ENOMEM}},
       ErrorKind::kUnavailable,
       "writing the rules: Cannot allocate memory"},
      {"target",
       {{Call::kSetsockopt, IPT_SO_SET_REPLACE, ENOENT},
        {Call::kGetsockopt, IPT_SO_GET_REVISION_TARGET, ENOENT}},
       ErrorKind::kUnsupported,
       "the kernel lacks target \"DNAT\" revision 2"},
      {"match",
       {{Call::kSetsockopt, IPT_SO_SET_REPLACE, ENOENT},
        {Call::kGetsockopt, IPT_SO_GET_REVISION_MATCH, EPROTONOSUPPORT}},
       ErrorKind::kUnsupported,
       "the kernel lacks match \"comment\" revision 0"},
      {"other",
       {{Call::kSetsockopt, IPT_SO_SET_REPLACE, EINVAL}},
       ErrorKind::kUnavailable,
       "refused"},
  };
  for (const Case& c : cases) {
    CAPTURE(std::string(c.name));
    Error error;
    in_thread_denied(c.denials, [&] { error = commit_dnat(kNat4); });
    CHECK(error.kind == c.kind);
    CHECK(error.message.find("IPv4 nat") != std::string::npos);
    CHECK(error.message.find(c.message) != std::string::npos);
  }
  // The kernel itself refuses DNAT outside of nat, with EINVAL, which does not prove a missing
  // feature.
  CHECK(commit_dnat(kFilter4).kind == ErrorKind::kUnavailable);
}

TEST_CASE("a refused read is reported with its cause") {
  const Sandbox sandbox;
  if (!sandbox.usable()) return;
  struct Case {
    const char* name;
    Denial denial;
    ErrorKind kind;
    const char* message;
  };
  const std::vector<Case> cases = {
      {"no family", {Call::kSocket, AF_INET, EAFNOSUPPORT}, ErrorKind::kUnsupported, "no IPv4"},
      {"no permission", {Call::kSocket, AF_INET, EPERM}, ErrorKind::kDenied, "CAP_NET_RAW"},
      {"no files", {Call::kSocket, AF_INET, EMFILE}, ErrorKind::kUnavailable, "raw IPv4 socket"},
      {"no module",
       {Call::kGetsockopt, IPT_SO_GET_INFO, ENOPROTOOPT},
       ErrorKind::kUnsupported,
       "no IPv4 nat table"},
      {"no table",
       {Call::kGetsockopt, IPT_SO_GET_INFO, ENOENT},
       ErrorKind::kUnsupported,
       "no IPv4 nat table"},
      {"no capability", {Call::kGetsockopt, IPT_SO_GET_INFO, EPERM}, ErrorKind::kDenied, "CAP_NET"},
      {"always changing",
       {Call::kGetsockopt, IPT_SO_GET_ENTRIES, EAGAIN},
       ErrorKind::kRetry,
       "another"},
  };
  for (const Case& c : cases) {
    CAPTURE(std::string(c.name));
    in_thread_denied({c.denial}, [&] {
      const auto backend = make_legacy_backend(sandbox.options());
      // libiptc repeats the read forever while the kernel returns EAGAIN: use a raw read there.
      const bool raw = c.denial.argument == IPT_SO_GET_ENTRIES;
      const Error error =
          raw ? backend->kube_checksum(Family::kIpv4).error() : backend->begin(kNat4).error();
      CHECK(error.kind == c.kind);
      CHECK(error.message.find(c.message) != std::string::npos);
    });
    must(iptables(kNat4) + " -S");
  }
}

TEST_CASE("the kernel's extensions are queried by revision") {
  const Sandbox sandbox;
  if (!sandbox.usable()) return;
  for (const Family family : kFamilies) {
    auto socket = iptables_legacy::TableSocket::open(family);
    REQUIRE(socket.ok());
    CHECK(socket->has({"comment", 0, false}));
    CHECK(socket->has({"conntrack", 3, false}));
    CHECK(!socket->has({"conntrack", 9, false}));
    CHECK(!socket->has({"no-such-match", 0, false}));
    CHECK(socket->has({"DNAT", 2, true}));
    CHECK(!socket->has({"DNAT", 9, true}));
    CHECK(!socket->has({"comment", 0, true}));
  }
}

TEST_CASE("an existing table without permission is denied, naming the capability, not absent") {
  for (const auto& [capability, name] :
       {std::pair(CAP_NET_ADMIN, "CAP_NET_ADMIN"), std::pair(CAP_NET_RAW, "CAP_NET_RAW")}) {
    const Sandbox sandbox;
    if (!sandbox.usable()) return;
    must(iptables(kNat4) + " -S");
    LegacyOptions options = sandbox.options();
    options.create_tables = false;
    bool ran = false;
    in_thread_without(static_cast<unsigned>(capability), [&, missing = name] {
      const auto backend = make_legacy_backend(options);
      for (const SyncReport& report : backend->sync(no_rules_anywhere(), {})) {
        REQUIRE(report.error.has_value());
        if (report.error->kind == ErrorKind::kAbsent) continue;
        CHECK(report.error->kind == ErrorKind::kDenied);
        CHECK(report.error->message.find(missing) != std::string::npos);
        ran = true;
      }
    });
    CHECK(ran);
  }
}

}  // namespace nmanager::test
