// A rival that commits as fast as possible: no update is lost on either side.
#include <doctest/doctest.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_tables.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

#include "hooks/chains/sync.h"
#include "hooks/iptables_nft/codec.h"
#include "hooks/netlink/objects.h"
#include "test/support/tables.h"
#include "test/unit/iptables_nft/rival.h"
#include "test/unit/iptables_nft/sandbox.h"

namespace nmanager::test {
using namespace nmanager::chains;
using namespace nmanager::iptables_nft;
using namespace nmanager::netlink;
namespace {

constexpr int kRounds = 2000;

/// Handles of the rules of a chain.
std::vector<RuleRef> handles(Netlink& netlink, const std::string& chain) {
  std::vector<RuleRef> result;
  const Status status = read_rules(netlink, kNat4, chain, [&](const nlmsghdr& message) {
    result.push_back(Attributes(message).be64(NFTA_RULE_HANDLE));
  });
  if (!status) result.clear();
  return result;
}

TEST_CASE("2,000 rounds against a rival that displaces us: nothing is lost, and we end in place") {
  const Sandbox sandbox;
  if (!sandbox.usable()) return;
  const DesiredTable wanted = desired(kNat4);
  const ChainDigests digests = digests_of(wanted);
  const auto [nft, watch] = backend();
  restore(kNat4,
          ":KUBE-SERVICES - [0:0]\n:THEIRS - [0:0]\n[5:50] -A PREROUTING -p tcp -j RETURN\n"
          "-A PREROUTING -j KUBE-SERVICES\n-A OUTPUT -j KUBE-SERVICES\n");
  apply(*nft, kNat4, wanted);

  // Each round, the rival inserts a KUBE jump at the top and adds a rule to its own chain; every
  // fifth round it also empties one of our chains. It counts its rounds.
  std::atomic<bool> stop = false;
  std::atomic<int> added = 0;
  std::thread rival_thread([&] {
    Rival rival(kNat4);
    for (int round = 0; round < kRounds; ++round) {
      rival.commit([&](ChainWriter& writer) {
        const auto rules = handles(rival.netlink(), "PREROUTING");
        if (rules.empty()) return;
        writer.insert_rule("PREROUTING", jump_to("KUBE-SERVICES"), rules.front());
        writer.insert_rule("THEIRS", jump_to("KUBE-SERVICES"), std::nullopt);
        if (round % 5 == 0) writer.flush_chain("NMANAGER_CONTENT");
      });
      ++added;
      std::this_thread::yield();
    }
    stop = true;
  });

  int repairs = 0;
  int overtaken = 0;
  while (!stop) {
    if (watch->drain().empty()) continue;
    const SyncReport report = sync_table(*nft, kNat4, wanted, {}, {}, &digests);
    repairs += report.committed && report.verified ? 1 : 0;
    overtaken += report.attempts > 1 ? 1 : 0;
    if (report.error) CHECK(report.error->kind == ErrorKind::kRetry);
  }
  rival_thread.join();
  MESSAGE(repairs << " repairs, " << overtaken << " of them after a conflict");
  CHECK(repairs > 0);

  // We commit last; all KUBE jumps and all rules of the rival are in place.
  CHECK(sync_table(*nft, kNat4, wanted, {}, {}, &digests).verified);
  CHECK(in_place(*nft, kNat4, wanted));
  Netlink netlink;
  CHECK(handles(netlink, "THEIRS").size() == static_cast<std::size_t>(added));
  const std::string saved = save(kNat4);
  CHECK(saved.find("[5:50] -A PREROUTING -p tcp -j RETURN") != std::string::npos);
  const auto prerouting = handles(netlink, "PREROUTING");
  CHECK(prerouting.size() == static_cast<std::size_t>(kRounds) + 3);
  CHECK(must(iptables(kNat4) + " -S PREROUTING 1") == "-A PREROUTING -j NMANAGER_PREROUTING\n");
  CHECK(must(iptables(kNat4) + " -S PREROUTING 2") == "-A PREROUTING -j KUBE-SERVICES\n");
}

TEST_CASE("a dump that a commit interrupts is reported and not used") {
  const Sandbox sandbox;
  if (!sandbox.usable()) return;
  Rival writer(kNat4);
  restore(kNat4, ":LONG - [0:0]\n:OTHER - [0:0]\n");
  // Each transaction adds the same number of rules: a torn read would show part of one.
  constexpr std::size_t kStep = 100;
  const auto grow = [&](Rival& rival) {
    rival.commit([](ChainWriter& w) {
      for (std::size_t i = 0; i < kStep; ++i) w.insert_rule("LONG", jump_to("OTHER"), std::nullopt);
    });
  };
  grow(writer);
  std::atomic<bool> stop = false;
  std::thread rival_thread([&] {
    Rival rival(kNat4);
    for (int i = 0; i < 60; ++i) {
      grow(rival);
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
    stop = true;
  });
  Netlink netlink;
  int whole = 0;
  while (!stop || whole == 0) {
    std::size_t count = 0;
    const Status status = read_rules(netlink, kNat4, "LONG", [&](const nlmsghdr&) { ++count; });
    if (!status) {
      CHECK(status.error().kind == ErrorKind::kRetry);
      continue;
    }
    ++whole;
    CHECK(count % kStep == 0);
  }
  rival_thread.join();
  MESSAGE(netlink.counts().interrupted_dumps << " dumps interrupted, " << whole << " whole");
  CHECK(netlink.counts().interrupted_dumps > 0);
}

TEST_CASE("two instances do not fight: both end with the same single jump") {
  const Sandbox sandbox;
  if (!sandbox.usable()) return;
  const DesiredTable wanted = desired(kNat4);
  const auto repair_often = [&] {
    auto made = make_nft_backend({});
    REQUIRE(made.ok());
    for (int i = 0; i < 200; ++i) {
      const SyncReport report = sync_table(*made->backend, kNat4, wanted, {}, {});
      if (report.error) CHECK(report.error->kind == ErrorKind::kRetry);
    }
  };
  std::thread other(repair_often);
  repair_often();
  other.join();
  const auto [nft, watch] = backend();
  CHECK(in_place(*nft, kNat4, wanted));
  CHECK(must(iptables(kNat4) + " -S PREROUTING") ==
        "-P PREROUTING ACCEPT\n-A PREROUTING -j NMANAGER_PREROUTING\n");
}

}  // namespace
}  // namespace nmanager::test
