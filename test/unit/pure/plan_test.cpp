#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <random>

#include "hooks/chains/chain_table.h"
#include "hooks/chains/sync.h"
#include "hooks/values/edit_script.h"
#include "test/fake_kernel/fake_kernel.h"
#include "test/support/sanitized.h"
#include "test/support/tables.h"

using namespace nmanager;
using namespace nmanager::chains;
using test::FakeKernel;
using test::kFilter4;
using test::kNat4;
using test::Semantics;

namespace {

const char* const kKubeJump =
    "-m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES";

DesiredTable nat_desired(int services = 2) {
  std::vector<ExternalAddress> entries;
  for (int i = 0; i < services; ++i) {
    const std::array<std::uint8_t, 4> bytes{20, 0, static_cast<std::uint8_t>(i / 256),
                                            static_cast<std::uint8_t>(i)};
    entries.push_back({Address(Family::kIpv4, bytes),
                       *Address::parse("10.96.0.1"),
                       "ns/s" + std::to_string(i),
                       {{Protocol::kTcp, 80}},
                       {}});
  }
  ExternalClusterSettings settings;
  settings.pod_cidr = Prefix::parse("10.244.0.0/16");
  return external_cluster_chains(external_cluster(Family::kIpv4, entries, settings));
}

DesiredTable filter_desired() {
  return drop_invalid_chains(Family::kIpv4, drop_invalid_input(InvalidAction::kDrop, {}));
}

Rule jump(const char* chain, bool go_to = false) {
  Rule rule;
  rule.target = Jump{ChainName(chain), go_to};
  return rule;
}

SyncReport sync(FakeKernel& kernel, TableId id, const DesiredTable& desired,
                const std::set<ChainName>& leave = {}) {
  return sync_table(kernel, id, desired, leave, {.max_attempts = 10, .keep_plan_text = true});
}

std::vector<std::string> chain_texts(const FakeKernel& kernel, TableId id, const char* chain) {
  std::vector<std::string> texts;
  for (const auto& rule : kernel.table(id).at(chain).rules) texts.push_back(rule.text());
  return texts;
}

std::vector<std::string> causes(const SyncReport& report) {
  std::vector<std::string> result;
  for (const Finding& finding : report.findings) {
    result.push_back(std::string(to_string(finding.cause)) + ' ' + finding.where);
  }
  return result;
}

using Texts = std::vector<std::string>;

/// A kernel with kube-proxy's rules and ours in place.
FakeKernel settled(Semantics semantics) {
  FakeKernel kernel(semantics);
  kernel.add_chain(kNat4, "KUBE-SERVICES");
  kernel.append(kNat4, "PREROUTING", std::string("-i lo -j ACCEPT"));
  kernel.append(kNat4, "PREROUTING", std::string(kKubeJump));
  kernel.append(kNat4, "OUTPUT", std::string(kKubeJump));
  kernel.append(kNat4, "OUTPUT", std::string("-o dummy -j ACCEPT"));
  REQUIRE(sync(kernel, kNat4, nat_desired()).verified);
  return kernel;
}

}  // namespace

TEST_CASE("placement: where a jump goes, and which one may stay") {
  struct Case {
    const char* name;
    TableId id;
    Texts before;  // of the built-in chain; KUBE: kube-proxy's jump, OWN: ours
    Texts after;
    Texts findings;
  };
  const Case cases[] = {
      {"empty nat", kNat4, {}, {"OWN"}, {"jump_missing"}},
      {"nat, no KUBE jump", kNat4, {"a", "b"}, {"OWN", "a", "b"}, {"jump_missing"}},
      {"nat, before the first KUBE",
       kNat4,
       {"a", "KUBE", "b"},
       {"a", "OWN", "KUBE", "b"},
       {"jump_missing"}},
      {"displaced", kNat4, {"KUBE", "OWN"}, {"OWN", "KUBE"}, {"jump_displaced"}},
      {"displaced behind the second",
       kNat4,
       {"a", "KUBE", "OWN", "KUBE"},
       {"a", "OWN", "KUBE", "KUBE"},
       {"jump_displaced"}},
      {"in place, not on top", kNat4, {"a", "OWN", "b", "KUBE"}, {"a", "OWN", "b", "KUBE"}, {}},
      {"twice", kNat4, {"OWN", "KUBE", "OWN"}, {"OWN", "KUBE"}, {"jump_duplicated"}},
      {"twice before", kNat4, {"OWN", "OWN", "KUBE"}, {"OWN", "KUBE"}, {"jump_duplicated"}},
      {"altered", kNat4, {"ALTERED", "KUBE"}, {"OWN", "KUBE"}, {"jump_altered"}},
      {"altered and good",
       kNat4,
       {"OWN", "ALTERED", "KUBE"},
       {"OWN", "KUBE"},
       {"jump_duplicated", "jump_altered"}},
      {"a jump to another one of our chains",
       kNat4,
       {"STRAY", "OWN", "KUBE"},
       {"OWN", "KUBE"},
       {"jump_left_over"}},
      {"ours was renamed",
       kNat4,
       {"a", "STRAY", "KUBE"},
       {"a", "OWN", "KUBE"},
       {"jump_missing", "jump_left_over"}},
      {"kube-router on top",
       kFilter4,
       {"KUBE-ROUTER-INPUT", "OWN", "KUBE"},
       {"KUBE-ROUTER-INPUT", "OWN", "KUBE"},
       {}},
      {"a goto is altered", kNat4, {"GOTO", "KUBE"}, {"OWN", "KUBE"}, {"jump_altered"}},
      {"filter on top", kFilter4, {"a", "KUBE"}, {"OWN", "a", "KUBE"}, {"jump_missing"}},
      {"filter displaced",
       kFilter4,
       {"a", "KUBE", "OWN"},
       {"a", "OWN", "KUBE"},
       {"jump_displaced"}},
      {"filter, others above us are fine",
       kFilter4,
       {"a", "OWN", "KUBE"},
       {"a", "OWN", "KUBE"},
       {}},
  };
  for (const Semantics semantics : {Semantics::kLegacy, Semantics::kNft}) {
    for (const Case& c : cases) {
      CAPTURE(c.name);
      const bool nat = c.id.table == Table::kNat;
      const std::string hook = nat ? "PREROUTING" : "INPUT";
      const std::string own = "NMANAGER_" + hook;
      const DesiredTable desired = nat ? nat_desired() : filter_desired();
      FakeKernel kernel(semantics);
      REQUIRE(sync(kernel, c.id, desired).verified);
      kernel.flush(c.id, hook);
      kernel.add_chain(c.id, "KUBE-SERVICES");
      for (const std::string& rule : c.before) {
        if (rule == "OWN") {
          kernel.append(c.id, hook, jump(own.c_str()));
        } else if (rule == "STRAY") {
          kernel.add_chain(c.id, "NMANAGER_OLD");
          kernel.append(c.id, hook, jump("NMANAGER_OLD"));
        } else if (rule == "KUBE-ROUTER-INPUT") {
          kernel.append(c.id, hook, "-j " + rule);
        } else if (rule == "GOTO") {
          kernel.append(c.id, hook, jump(own.c_str(), true));
        } else if (rule == "ALTERED") {
          kernel.append(c.id, hook, "-m comment --comment x -j " + own);
        } else {
          kernel.append(c.id, hook, rule == "KUBE" ? std::string(kKubeJump) : "-i " + rule);
        }
      }
      const std::string foreign = kernel.foreign_text(c.id);
      const SyncReport report = sync(kernel, c.id, desired);
      REQUIRE(report.verified);
      Texts after;
      for (const std::string& text : chain_texts(kernel, c.id, hook.c_str())) {
        after.push_back(text == kKubeJump ? "KUBE" : text == "-j " + own ? "OWN" : text.substr(3));
      }
      CHECK(after == c.after);
      Texts findings;
      for (const std::string& cause : causes(report)) {
        if (cause.ends_with(' ' + hook)) findings.push_back(cause.substr(0, cause.find(' ')));
      }
      CHECK(findings == c.findings);
      CHECK(report.committed == !c.findings.empty());
      CHECK(kernel.foreign_text(c.id) == foreign);
      CHECK_FALSE(sync(kernel, c.id, desired).committed);
    }
  }
}

TEST_CASE("all damage to our chains is found, named and repaired, nothing else is changed") {
  struct Case {
    const char* name;
    std::function<void(FakeKernel&)> damage;
    const char* finding;
  };
  const char* const leaf = "NMANAGER_EX_CLUS_OUTPUT";
  const Case cases[] = {
      {"jump deleted", [](FakeKernel& k) { k.erase(kNat4, "PREROUTING", 1); },
       "jump_missing PREROUTING"},
      {"jump displaced",
       [](FakeKernel& k) { k.insert(kNat4, "OUTPUT", 0, std::string(kKubeJump)); },
       "jump_displaced OUTPUT"},
      {"jumps swapped", [](FakeKernel& k) { k.swap(kNat4, "OUTPUT", 0, 1); },
       "jump_displaced OUTPUT"},
      {"hook flushed", [](FakeKernel& k) { k.flush(kNat4, "OUTPUT"); }, "jump_missing OUTPUT"},
      {"chain flushed", [&](FakeKernel& k) { k.flush(kNat4, leaf); },
       "rule_missing NMANAGER_EX_CLUS_OUTPUT"},
      {"hook chain flushed", [](FakeKernel& k) { k.flush(kNat4, "NMANAGER_OUTPUT"); },
       "rule_missing NMANAGER_OUTPUT"},
      {"chain deleted", [&](FakeKernel& k) { k.delete_chain(kNat4, leaf); },
       "chain_missing NMANAGER_EX_CLUS_OUTPUT"},
      {"hook chain deleted", [](FakeKernel& k) { k.delete_chain(kNat4, "NMANAGER_OUTPUT"); },
       "chain_missing NMANAGER_OUTPUT"},
      {"rule deleted", [&](FakeKernel& k) { k.erase(kNat4, leaf, 1); },
       "rule_missing NMANAGER_EX_CLUS_OUTPUT"},
      {"foreign rule inside",
       [&](FakeKernel& k) { k.insert(kNat4, leaf, 1, std::string("-j ACCEPT")); },
       "rule_foreign NMANAGER_EX_CLUS_OUTPUT"},
      {"rules swapped", [&](FakeKernel& k) { k.swap(kNat4, leaf, 0, 3); },
       "rule_order NMANAGER_EX_CLUS_OUTPUT"},
      {"rule doubled", [&](FakeKernel& k) { k.append(kNat4, leaf, jump("NMANAGER_MARK_MASQ")); },
       "rule_foreign NMANAGER_EX_CLUS_OUTPUT"},
      {"strange chain of our name", [](FakeKernel& k) { k.add_chain(kNat4, "NMANAGER_OLD"); },
       "chain_left_over NMANAGER_OLD"},
  };
  for (const Semantics semantics : {Semantics::kLegacy, Semantics::kNft}) {
    for (const Case& c : cases) {
      CAPTURE(c.name);
      FakeKernel kernel = settled(semantics);
      const std::string healthy = kernel.text(kNat4);
      c.damage(kernel);
      const std::string foreign = kernel.foreign_text(kNat4);
      const int commits = kernel.commits();
      const SyncReport report = sync(kernel, kNat4, nat_desired());
      REQUIRE(report.verified);
      CHECK(kernel.commits() == commits + 1);
      const auto found = causes(report);
      CHECK_MESSAGE(std::ranges::find(found, std::string(c.finding)) != found.end(),
                    report.plan_text);
      CHECK(kernel.foreign_text(kNat4) == foreign);
      if (foreign.find("-o dummy") != std::string::npos &&
          c.name != std::string("jump displaced") && c.name != std::string("jumps swapped")) {
        CHECK(kernel.text(kNat4) == healthy);
      }
      CHECK_FALSE(sync(kernel, kNat4, nat_desired()).committed);
    }
  }
}

TEST_CASE("rules that stay keep their counters") {
  FakeKernel kernel = settled(Semantics::kNft);
  kernel.count_packet(kNat4, "NMANAGER_EX_CLUS_OUTPUT", 3);
  const auto counted = [&] {
    const auto& rules = kernel.table(kNat4).at("NMANAGER_EX_CLUS_OUTPUT").rules;
    return std::ranges::count_if(rules, [](const auto& rule) { return rule.packets == 1; });
  };
  REQUIRE(counted() == 1);
  kernel.erase(kNat4, "NMANAGER_EX_CLUS_OUTPUT", 0);
  REQUIRE(sync(kernel, kNat4, nat_desired(3)).verified);
  CHECK(counted() == 1);
  kernel.insert(kNat4, "NMANAGER_EX_CLUS_OUTPUT", 0, std::string("-j ACCEPT"));
  REQUIRE(sync(kernel, kNat4, nat_desired(3)).verified);
  CHECK(counted() == 1);
  // The last rule moved to the front: the others stay.
  kernel.swap(kNat4, "NMANAGER_EX_CLUS_OUTPUT", 0, 5);
  kernel.count_packet(kNat4, "NMANAGER_EX_CLUS_OUTPUT", 2);
  REQUIRE(sync(kernel, kNat4, nat_desired(3)).verified);
  CHECK(counted() == 2);
}

TEST_CASE("nothing desired: all our rules and chains are removed, foreign jumps to them stay") {
  FakeKernel kernel = settled(Semantics::kNft);
  kernel.add_chain(kNat4, "ADMIN");
  kernel.append(kNat4, "ADMIN", std::string("-s 10.0.0.1 -j NMANAGER_MARK_MASQ"));
  const std::string foreign = kernel.foreign_text(kNat4);
  const SyncReport report = sync(kernel, kNat4, {});
  REQUIRE(report.verified);
  CHECK(kernel.foreign_text(kNat4) == foreign);
  CHECK(report.still_referenced == std::set{ChainName("NMANAGER_MARK_MASQ")});
  CHECK(kernel.table(kNat4).at("NMANAGER_MARK_MASQ").rules.empty());
  CHECK_FALSE(kernel.table(kNat4).contains("NMANAGER_OUTPUT"));
  CHECK(kernel.text(kNat4).find("-j NMANAGER_OUTPUT") == std::string::npos);
  // Referenced by a foreign rule and empty: no separate commit, but deleted when possible.
  CHECK_FALSE(sync(kernel, kNat4, {}, report.still_referenced).committed);
  kernel.delete_chain(kNat4, "ADMIN");
  kernel.add_chain(kNat4, "NMANAGER_OTHER");
  REQUIRE(sync(kernel, kNat4, {}, report.still_referenced).verified);
}

TEST_CASE("another process writes between read and write") {
  FakeKernel kernel = settled(Semantics::kNft);
  kernel.erase(kNat4, "PREROUTING", 1);
  int rounds = 0;
  kernel.before_commit = [&] {
    if (++rounds <= 3) kernel.insert(kNat4, "PREROUTING", 0, "-i r" + std::to_string(rounds));
  };
  const SyncReport report = sync(kernel, kNat4, nat_desired());
  CHECK(report.verified);
  CHECK(report.attempts == 4);
  CHECK(chain_texts(kernel, kNat4, "PREROUTING") ==
        Texts{"-i r3", "-i r2", "-i r1", "-i lo -j ACCEPT", "-j NMANAGER_PREROUTING", kKubeJump});
  kernel.erase(kNat4, "PREROUTING", 4);
  kernel.before_commit = [&] { kernel.append(kNat4, "POSTROUTING", std::string("-i x")); };
  const SyncReport lost = sync(kernel, kNat4, nat_desired());
  CHECK_FALSE(lost.verified);
  CHECK(lost.error->kind == ErrorKind::kRetry);
  CHECK(lost.attempts == 10);
}

TEST_CASE("a failed commit is judged by the state after it") {
  FakeKernel kernel = settled(Semantics::kLegacy);
  kernel.erase(kNat4, "PREROUTING", 1);
  kernel.fail_next_commit = Error{ErrorKind::kRetry, "counters"};
  kernel.failed_commit_is_applied = true;
  SyncReport report = sync(kernel, kNat4, nat_desired());
  CHECK(report.verified);
  CHECK(report.attempts == 2);
  kernel.erase(kNat4, "PREROUTING", 1);
  kernel.failed_commit_is_applied = false;
  kernel.fail_next_commit = Error{ErrorKind::kUnsupported, "no match addrtype"};
  report = sync(kernel, kNat4, nat_desired());
  CHECK_FALSE(report.verified);
  CHECK(report.error == Error{ErrorKind::kUnsupported, "no match addrtype"});
  CHECK(report.attempts == 1);
  kernel.fail_begin = Error{ErrorKind::kAbsent, "gone"};
  CHECK(sync(kernel, kNat4, nat_desired()).error->kind == ErrorKind::kAbsent);
}

TEST_CASE("the plan as iptables-restore text") {
  FakeKernel kernel(Semantics::kLegacy);
  kernel.append(kFilter4, "INPUT", std::string("-i a"));
  const SyncReport made = sync(kernel, kFilter4, filter_desired());
  CHECK(made.plan_text ==
        "*filter\n"
        ":NMANAGER_DROP_INVALID_INPUT - [0:0]\n"
        ":NMANAGER_INPUT - [0:0]\n"
        "-I INPUT 1 -j NMANAGER_INPUT\n"
        "-A NMANAGER_DROP_INVALID_INPUT -m conntrack --ctstate INVALID -j DROP\n"
        "-A NMANAGER_INPUT -j NMANAGER_DROP_INVALID_INPUT\n"
        "COMMIT\n");
  kernel.append(kFilter4, "INPUT", jump("NMANAGER_INPUT"));
  kernel.insert(kFilter4, "NMANAGER_INPUT", 0, std::string("-j ACCEPT"));
  CHECK(sync(kernel, kFilter4, filter_desired()).plan_text ==
        "*filter\n"
        "-D INPUT 3\n"
        "-D NMANAGER_INPUT 1\n"
        "COMMIT\n");
  CHECK(sync(kernel, kFilter4, {}).plan_text ==
        "*filter\n"
        "-D INPUT 1\n"
        "-F NMANAGER_DROP_INVALID_INPUT\n"
        "-F NMANAGER_INPUT\n"
        "-X NMANAGER_DROP_INVALID_INPUT\n"
        "-X NMANAGER_INPUT\n"
        "COMMIT\n");
  CHECK(to_restore_text(TablePlan{}).empty());
}

TEST_CASE("a chain's edit script keeps as many rules as possible") {
  std::mt19937 random(3);
  std::vector<Rule> pool(12);
  for (std::size_t i = 0; i < pool.size(); ++i) pool[i].comment = std::to_string(i);
  for (int round = 0; round < test::random_cases(2000); ++round) {
    std::vector<Rule> desired = pool;
    std::ranges::shuffle(desired, random);
    desired.resize(random() % pool.size());
    ObservedChain observed;
    for (std::size_t i = random() % 14; i > 0; --i) {
      const std::size_t pick = random() % (pool.size() + 2);
      observed.push_back({pick < pool.size() ? std::optional(pool[pick]) : std::nullopt,
                          static_cast<RuleRef>(observed.size()), 0});
    }
    const auto steps = diff_chain<Rule, ObservedRule>(desired, observed);
    std::vector<Rule> result;
    RuleRef next = 0;
    for (const EditStep& step : steps) {
      if (const auto* insert = std::get_if<Insert>(&step)) {
        result.push_back(insert->rule);
      } else if (const auto* keep = std::get_if<Keep>(&step)) {
        REQUIRE(keep->ref == next);
        result.push_back(*observed[next++].rule);
      } else {
        REQUIRE(std::get<Remove>(step).ref == next++);
      }
    }
    if (steps.empty()) {
      REQUIRE(desired.size() == observed.size());
    } else {
      CHECK(result == desired);
      CHECK(next == observed.size());
    }
  }
}

TEST_CASE("property: from any table to any desired one in one commit, foreign rules unchanged") {
  std::mt19937 random(5);
  const auto chance = [&](unsigned one_in) { return random() % one_in == 0; };
  for (int round = 0; round < 400; ++round) {
    CAPTURE(round);
    const Semantics semantics = chance(2) ? Semantics::kLegacy : Semantics::kNft;
    FakeKernel kernel(semantics);
    if (chance(2)) kernel.add_chain(kNat4, "KUBE-SERVICES");
    if (chance(2))
      REQUIRE(sync(kernel, kNat4, nat_desired(static_cast<int>(random() % 40))).verified);
    for (auto step = random() % 12; step > 0; --step) {
      std::vector<std::string> chains;
      for (const auto& chain : kernel.table(kNat4)) chains.push_back(chain.first);
      const std::string& chain = chains[random() % chains.size()];
      const std::string& other = chains[random() % chains.size()];
      const auto& rules = kernel.table(kNat4).at(chain).rules;
      switch (random() % 6) {
        case 0:
          kernel.insert(kNat4, chain, random() % 4, "-i if" + std::to_string(step));
          break;
        case 1:
          if (is_own_chain(other) || is_kube_chain(other)) {
            kernel.insert(kNat4, chain, random() % 4, "-i j -j " + other);
          }
          break;
        case 2:
          if (is_own_chain(other)) kernel.insert(kNat4, chain, random() % 4, jump(other.c_str()));
          break;
        case 3:
          if (!rules.empty()) kernel.erase(kNat4, chain, random() % rules.size());
          break;
        case 4:
          kernel.flush(kNat4, chain);
          break;
        case 5:
          if (is_own_chain(chain)) kernel.delete_chain(kNat4, chain);
          break;
      }
    }
    const DesiredTable desired =
        chance(5) ? DesiredTable{} : nat_desired(static_cast<int>(random() % 40));
    const std::string foreign = kernel.foreign_text(kNat4);
    const SyncReport report = sync(kernel, kNat4, desired);
    REQUIRE_MESSAGE(report.verified, kernel.text(kNat4) << report.plan_text);
    CHECK(report.attempts == 1);
    CHECK(kernel.foreign_text(kNat4) == foreign);
    const SyncReport again = sync(kernel, kNat4, desired, report.still_referenced);
    CHECK_MESSAGE(!again.committed, again.plan_text);
    for (const auto& [name, rules] : desired.chains) {
      Texts want;
      for (const Rule& rule : rules) want.push_back(test::FakeRule{0, rule, 0}.text());
      CHECK(chain_texts(kernel, kNat4, name.str().c_str()) == want);
    }
  }
}
