// Foreign objects in the table: they are removed and never delay our own rules.
#include <doctest/doctest.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "hooks/netlink/socket.h"
#include "hooks/nftables/write.h"
#include "test/support/capabilities.h"
#include "test/support/sends.h"
#include "test/unit/nftables/sandbox.h"

namespace nmanager::test {
using namespace nmanager::nftables;

namespace {

Wishes two_addresses() {
  Wishes wishes;
  wishes.addresses = {external("192.0.2.1", "10.96.0.1"), external("2001:db8::1", "fd00:96::1")};
  return wishes;
}

/// Changes of other programs, as commands of nft, each tested separately.
constexpr const char* kIntrusions[] = {
    // A chain that belongs to its rule (NFT_CHAIN_BINDING).
    "add rule inet nmanager NMANAGER_INPUT jump { counter; }",
    "insert rule inet nmanager NMANAGER_DROP_INVALID_INPUT goto { ip saddr 192.0.2.7 accept; }",
    "add rule inet nmanager NMANAGER_OUTPUT jump { counter; } comment \"IPv4 nat\"",
    "add chain inet nmanager theirs { jump { counter; }; }",
    // A map whose elements jump to our chains, to a removed one and to one that stays.
    "add map inet nmanager v { type ipv4_addr : verdict; elements = { 192.0.2.7 : jump "
    "NMANAGER_DROP_INVALID_INPUT }; }",
    "add chain inet nmanager NMANAGER_OLD; add map inet nmanager v { type ipv4_addr : verdict; "
    "elements = { 192.0.2.7 : jump NMANAGER_OLD }; }; add rule inet nmanager NMANAGER_INPUT ip "
    "saddr vmap @v",
    "add chain inet nmanager NMANAGER_OLD; add rule inet nmanager NMANAGER_INPUT ip saddr vmap { "
    "192.0.2.7 : jump NMANAGER_OLD }",
    // Chains that refer to one another and to ours.
    "add chain inet nmanager a; add chain inet nmanager b; add rule inet nmanager a jump b; add "
    "rule "
    "inet nmanager b jump NMANAGER_DROP_INVALID_INPUT; add rule inet nmanager NMANAGER_INPUT jump "
    "a",
    "add chain inet nmanager NMANAGER_OLD; add chain inet nmanager a; add rule inet nmanager a "
    "jump "
    "NMANAGER_OLD",
    // Other objects, used and unused.
    "add set inet nmanager s { type ipv4_addr; }; add rule inet nmanager NMANAGER_INPUT ip saddr "
    "@s "
    "drop",
    "add counter inet nmanager c; add rule inet nmanager NMANAGER_INPUT counter name \"c\"",
    "add quota inet nmanager q { over 1 mbytes; }",
    "add chain inet nmanager a_chain_whose_name_is_longer_than_ours_may_be_at_all",
};

}  // namespace

TEST_CASE("all foreign objects in the table are removed, and our rules repaired") {
  Sandbox sandbox;
  if (!sandbox.usable()) return;
  const auto wanted = goals(two_addresses());
  for (const char* intrusion : kIntrusions) {
    for (const bool damaged : {false, true}) {
      CAPTURE(std::string(intrusion));
      CAPTURE(damaged);
      const auto native = native_backend();
      sync(*native.backend, wanted);
      const auto table = content();
      must("nft -f -", intrusion);
      if (damaged)
        must("nft 'delete element inet nmanager external_ipv4 { 192.0.2.1 . tcp . 80 }'");
      const auto reports = native.backend->sync(wanted, {});
      for (const SyncReport& report : reports) {
        if (!report.verified) FAIL(report.error->message);
        CHECK(report.held.empty());
        CHECK(report.attempts == 1);
      }
      CHECK(content() == table);
      CHECK_FALSE(sync(*native.backend, wanted).committed);
      // A plan as text has the same effect, and so has a backend without knowledge of the change.
      must("nft -f -", intrusion);
      const PlanText plan = native_backend().backend->plan_text(wanted);
      must("nft -f -", plan.text);
      CHECK(content() == table);
      must("nft flush ruleset");
    }
  }
}

TEST_CASE("an object that cannot be removed is named once and does not delay our rules") {
  Sandbox sandbox;
  if (!sandbox.usable()) return;
  const auto native = native_backend();
  const auto wanted = goals(two_addresses());
  sync(*native.backend, wanted);
  // The rule is marked as IPv4 nat, which is no goal below: it stays and refers to their objects.
  must("nft -f -",
       "add chain inet nmanager theirs; add rule inet nmanager NMANAGER_OUTPUT jump theirs comment "
       "\"IPv4 nat\"; add set inet nmanager s { type ipv4_addr; }; flush chain inet nmanager "
       "NMANAGER_INPUT");
  const std::vector<Goal> filter{wanted.front()};
  REQUIRE(filter.front().id == TableId{Family::kIpv4, Table::kFilter});
  for (int i = 0; i < 3; ++i) {
    const SyncReport report = native.backend->sync(filter, {}).front();
    if (!report.verified) FAIL(report.error->message);
    CHECK(report.held.size() == (i == 0 ? 1 : 0));
    if (i == 0) CHECK(report.held.front().find("theirs") != std::string::npos);
    if (i == 2) CHECK_FALSE(report.committed);
    CHECK(listed().find("set s") == std::string::npos);
    CHECK(listed().find("jump NMANAGER_DROP_INVALID_INPUT comment \"IPv4 filter\"") !=
          std::string::npos);
  }
  CHECK(sync(*native.backend, wanted).committed);
  CHECK(listed().find("theirs") == std::string::npos);
}

TEST_CASE("a change that falls between the removal of foreign objects and what follows is seen") {
  struct Case {
    const char* intrusion;
    const char* change;
    bool all;  // else the rules of IPv4 filter alone are a goal
  };
  const Case cases[] = {
      {"add chain inet nmanager theirs",
       "delete element inet nmanager external_ipv4 { 192.0.2.1 . tcp . 80 }", true},
      {"add chain inet nmanager theirs; flush chain inet nmanager NMANAGER_INPUT",
       "delete element inet nmanager external_ipv4 { 192.0.2.1 . tcp . 80 }", true},
      // The map cannot be deleted, and to flush it has no effect: the generation is the rival's.
      {"add map inet nmanager v { type ipv4_addr : verdict; }; add rule inet nmanager "
       "NMANAGER_OUTPUT ip saddr vmap @v comment \"IPv4 nat\"",
       "flush chain inet nmanager NMANAGER_INPUT", false},
  };
  for (const Case& c : cases) {
    CAPTURE(c.intrusion);
    Sandbox sandbox;
    if (!sandbox.usable()) return;
    const auto native = native_backend();
    auto wanted = goals(two_addresses());
    sync(*native.backend, wanted);
    const auto table = content();
    must("nft -f -", c.intrusion);
    if (!c.all) wanted.resize(1);
    bool written = false;
    int changes = 0;
    std::vector<SyncReport> reports;
    before_sends(
        [&](int type) {
          written = written || type == NFNL_MSG_BATCH_BEGIN;
          if (!written || type != (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETGEN)) return;
          if (++changes == 1) must("nft -f -", c.change);
        },
        [&] { reports = native.backend->sync(wanted, {}); });
    CHECK(changes > 0);
    for (const SyncReport& report : reports) {
      if (!report.verified) FAIL(report.error->message);
      CHECK(report.attempts == 2);
    }
    if (c.all) CHECK(content() == table);
    CHECK(listed().find("jump NMANAGER_DROP_INVALID_INPUT comment \"IPv4 filter\"") !=
          std::string::npos);
  }
}

TEST_CASE(
    "a table that another process keeps deleting and creating: repaired after the last change") {
  Sandbox sandbox;
  if (!sandbox.usable()) return;
  const auto native = native_backend();
  const auto wanted = goals(two_addresses());
  sync(*native.backend, wanted);
  const auto table = content();
  std::atomic<bool> ended = false;
  std::atomic<int> rivals = 0;
  std::thread rival([&] {
    netlink::Netlink socket;
    const auto commit = [&](std::initializer_list<Step> steps) {
      netlink::Batch batch(0);  // on any generation
      StepWriter writer(batch);
      for (const Step& step : steps) writer.write(step);
      batch.finish();
      const auto errors = socket.send(batch);
      if (errors && errors->empty()) ++rivals;
    };
    for (int i = 0; i < 3000; ++i) {
      commit({{Verb::kDelete, OwnTable{}}});
      commit({{Verb::kAdd, OwnTable{}},
              {Verb::kAdd, SetObject{"external_ipv4"}},
              {Verb::kAdd, ChainObject{"NMANAGER_INPUT", base_of("NMANAGER_INPUT")}}});
      if (i % 4 == 0) std::this_thread::yield();
    }
    ended = true;
  });
  int verified = 0;
  int repaired = 0;
  int overtaken = 0;
  while (!ended) {
    for (const SyncReport& report : native.backend->sync(wanted, {})) {
      ++(report.verified ? verified : overtaken);
      repaired += report.committed && report.verified ? 1 : 0;
      if (report.verified) continue;
      INFO(report.error->message);
      CHECK(report.error->kind == ErrorKind::kRetry);  // never kUnsupported or kAbsent
    }
  }
  rival.join();
  MESSAGE(overtaken << " reports overtaken, " << verified << " verified, " << repaired
                    << " repaired; commits of the rival: " << rivals.load());
  CHECK(rivals > 1000);
  CHECK(repaired > 0);
  sync(*native.backend, wanted);
  CHECK(content() == table);
  CHECK_FALSE(sync(*native.backend, wanted).committed);
}

TEST_CASE("without the capability there is no native backend, and the capability is named") {
  Sandbox sandbox;
  if (!sandbox.usable()) return;
  bool ran = false;
  in_thread_without(CAP_NET_ADMIN, [&] {
    const auto made = make_nftables_backend({});
    REQUIRE_FALSE(made.ok());
    CHECK(made.error().kind == ErrorKind::kDenied);
    CHECK(made.error().message.find("CAP_NET_ADMIN") != std::string::npos);
    ran = true;
  });
  CHECK(ran);
}

}  // namespace nmanager::test
