// Random changes of other processes and faults between every read and write, with the rules of both
// kernels: no change of another process is lost, and once they stop our rules are in place.
#include <doctest/doctest.h>

#include <cstdint>
#include <functional>
#include <random>
#include <string>

#include "hooks/chains/sync.h"
#include "test/fake_kernel/fake_kernel.h"
#include "test/support/tables.h"

namespace nmanager::test {
using namespace nmanager::chains;
namespace {

Rule jump_to(const char* chain) {
  Rule rule;
  rule.target = Jump{ChainName(chain)};
  return rule;
}

Rule port_rule(std::uint16_t port) {
  Rule rule;
  rule.protocol = Protocol::kTcp;
  rule.destination_ports = {{port, port}};
  rule.target = Return{};
  return rule;
}

/// The jumps, their chains, and a few chains of a few rules.
DesiredTable any_table(std::mt19937& random) {
  DesiredTable desired;
  desired.jumps = {Hook::kPrerouting, Hook::kOutput};
  desired.chains[ChainName("NMANAGER_PREROUTING")] = {jump_to("NMANAGER_A")};
  desired.chains[ChainName("NMANAGER_OUTPUT")] = {jump_to("NMANAGER_A")};
  desired.chains[ChainName("NMANAGER_A")] = {};
  for (const char* name : {"NMANAGER_A", "NMANAGER_B", "NMANAGER_C"}) {
    auto rules = random() % 6;
    if (rules == 0 && std::string(name) != "NMANAGER_A") continue;
    auto& chain = desired.chains[ChainName(name)];
    for (; rules > 0; --rules) chain.push_back(port_rule(static_cast<std::uint16_t>(random() % 9)));
  }
  return desired;
}

/// Possible actions of another agent. `log` gets the rules that must exist in the end.
void disturb(FakeKernel& kernel, std::mt19937& random, std::vector<std::string>& log) {
  const char* const hooks[] = {"PREROUTING", "OUTPUT"};
  const std::string hook = hooks[random() % 2];
  const auto& rules = kernel.table(kNat4).at(hook).rules;
  switch (random() % 4) {
    case 0: {
      log.push_back("-i if" + std::to_string(log.size()));
      kernel.insert(kNat4, hook, random() % (rules.size() + 1), log.back());
      break;
    }
    case 1:
      for (std::size_t i = 0; i < rules.size(); ++i) {
        if (!is_own_chain(rules[i].jump_target())) continue;
        kernel.erase(kNat4, hook, i);
        break;
      }
      break;
    case 2:
      kernel.insert(kNat4, hook, 0, "-j KUBE-SERVICES");
      log.emplace_back("-j KUBE-SERVICES");
      break;
    case 3:
      kernel.append(kNat4, "POSTROUTING", "-o if" + std::to_string(log.size()));
      log.push_back("-o if" + std::to_string(log.size()));
      break;
  }
}

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

void check_in_place(const FakeKernel& kernel, const DesiredTable& desired) {
  for (const std::string hook : {"PREROUTING", "OUTPUT"}) {
    int jumps = 0;
    for (const FakeRule& rule : kernel.table(kNat4).at(hook).rules) {
      if (rule.jump_target() == "NMANAGER_" + hook) ++jumps;
      if (rule.jump_target() == "KUBE-SERVICES") CHECK(jumps == 1);
    }
    CHECK(jumps == 1);
  }
  for (const auto& [name, rules] : desired.chains) {
    const auto& found = kernel.table(kNat4).at(name.str()).rules;
    REQUIRE(found.size() == rules.size());
    for (std::size_t i = 0; i < rules.size(); ++i) {
      CHECK(found[i].text() == FakeRule{0, rules[i], 0}.text());
    }
  }
}

}  // namespace

TEST_CASE("property: concurrent changes and faults lose nothing, our rules end in place") {
  std::mt19937 random(20261125);
  int overtaken = 0;
  int failed = 0;
  for (int round = 0; round < 600; ++round) {
    CAPTURE(round);
    FakeKernel kernel(round % 2 == 0 ? Semantics::kLegacy : Semantics::kNft);
    kernel.add_chain(kNat4, "KUBE-SERVICES");
    std::vector<std::string> theirs;
    DesiredTable desired = any_table(random);
    for (int turn = 0; turn < 6; ++turn) {
      if (random() % 2 == 0) desired = any_table(random);
      for (auto i = random() % 3; i > 0; --i) disturb(kernel, random, theirs);
      auto rivals = random() % 4;
      kernel.before_commit = [&] {
        if (rivals == 0) return;
        --rivals;
        disturb(kernel, random, theirs);
      };
      kernel.interrupted_reads = static_cast<int>(random() % 2);
      if (random() % 4 == 0) {
        kernel.fail_next_commit = Error{ErrorKind::kRetry, "counters"};
        kernel.failed_commit_is_applied = random() % 2 == 0;
      }
      const SyncReport report = sync_table(kernel, kNat4, desired, {}, {});
      if (report.attempts > 1) ++overtaken;
      if (report.verified) {
        CHECK(report.error == std::nullopt);
      } else {
        ++failed;
        CHECK(report.error->kind == ErrorKind::kRetry);
      }
    }
    kernel.before_commit = {};
    kernel.interrupted_reads = 0;
    kernel.fail_next_commit.reset();
    REQUIRE(sync_table(kernel, kNat4, desired, {}, {}).verified);
    check_in_place(kernel, desired);
    const std::string foreign = kernel.foreign_text(kNat4);
    for (const std::string& rule : theirs) {
      CHECK(count(foreign, "A PREROUTING " + rule + '\n') +
                count(foreign, "A OUTPUT " + rule + '\n') +
                count(foreign, "A POSTROUTING " + rule + '\n') >=
            1);
    }
    CHECK(count(foreign, "-i if") + count(foreign, "-o if") + count(foreign, "-j KUBE-SERVICES") ==
          theirs.size());
  }
  CHECK(overtaken > 300);
  CHECK(failed > 300);
}

}  // namespace nmanager::test
