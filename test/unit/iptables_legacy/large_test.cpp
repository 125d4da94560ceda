// Tables that take long to read and to write.
#include <doctest/doctest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "hooks/chains/chain_table.h"
#include "hooks/chains/sync.h"
#include "hooks/iptables_legacy/lock.h"
#include "hooks/iptables_legacy/transaction.h"
#include "test/support/tables.h"
#include "test/unit/iptables_legacy/sandbox.h"

namespace nmanager::test {
using namespace nmanager::chains;
using namespace nmanager::iptables_legacy;
namespace {

ExternalCluster addresses(Family family, int count, const char* cluster) {
  std::vector<ExternalAddress> all;
  for (int i = 0; i < count; ++i) {
    const std::string text =
        family == Family::kIpv4
            ? "198.18." + std::to_string(i / 250) + '.' + std::to_string(i % 250)
            : "2001:db8::" + std::to_string(i / 250) + ':' + std::to_string(i % 250);
    all.push_back({address(text), address(cluster), "ns/s", {{Protocol::kTcp, 80}}, {}});
  }
  return external_cluster(family, std::move(all), {});
}

std::shared_ptr<const TableSpec> spec_of(ExternalCluster wanted) {
  return std::make_shared<const TableSpec>(TableSpec{{std::move(wanted)}});
}

/// What one sync() did with the tables.
struct Turn {
  std::set<TableId> done;
  std::set<TableId> waits;
};

Turn turn(Backend& backend, const std::vector<Goal>& goals) {
  const std::vector<SyncReport> reports = backend.sync(goals, {});
  Turn turn;
  for (std::size_t i = 0; i < goals.size(); ++i) {
    const SyncReport& report = reports[i];
    if (report.waits) {
      CHECK_FALSE((report.verified || report.committed || report.large || report.error));
      turn.waits.insert(goals[i].id);
    } else {
      if (!report.verified) FAIL(report.error->message);
      CHECK(report.large == (goals[i].id.table == Table::kNat));
      turn.done.insert(goals[i].id);
    }
  }
  return turn;
}

}  // namespace

TEST_CASE("one large table in a call, the other one in the next") {
  const Sandbox sandbox;
  if (!sandbox.usable()) return;
  const auto backend = make_legacy_backend(sandbox.options());
  std::vector<Goal> goals = no_rules_anywhere();
  const auto want = [&](const char* cluster4, const char* cluster6) {
    for (Goal& goal : goals) {
      if (goal.id == kNat4) goal.spec = spec_of(addresses(Family::kIpv4, 2'000, cluster4));
      if (goal.id == kNat6) goal.spec = spec_of(addresses(Family::kIpv6, 2'000, cluster6));
    }
  };
  const auto alternates = [&] {
    const Turn first = turn(*backend, goals);
    CHECK(first.waits == std::set<TableId>{kNat6});
    CHECK(first.done == std::set<TableId>{kFilter4, kNat4, kFilter6});
    // Even if there is always something to do to the first one.
    const Turn second = turn(*backend, goals);
    CHECK(second.waits == std::set<TableId>{kNat4});
    CHECK(second.done == std::set<TableId>{kFilter4, kNat6, kFilter6});
    // Each call begins with the one that waited.
    CHECK(turn(*backend, goals).waits == std::set<TableId>{kNat6});
    CHECK(turn(*backend, goals).waits == std::set<TableId>{kNat4});
  };
  want("10.96.0.1", "fd00::1");
  alternates();
  CHECK(save(kNat4).find("10.96.0.1") != std::string::npos);
  CHECK(save(kNat6).find("fd00::1") != std::string::npos);
  // Of a table that is large in the kernel, whatever is wanted.
  goals = no_rules_anywhere();
  CHECK(turn(*backend, goals).waits == std::set<TableId>{kNat6});
  const std::vector<SyncReport> last = backend->sync(goals, {});
  CHECK(std::ranges::none_of(last, [](const SyncReport& report) { return report.waits; }));
  for (const TableId id : {kNat4, kNat6}) CHECK(save(id).find("NMANAGER") == std::string::npos);
}

TEST_CASE("what is kept of a table that waits is checked all the same") {
  const Sandbox sandbox;
  if (!sandbox.usable()) return;
  const auto backend = make_legacy_backend(sandbox.options());
  const std::vector<Goal> goals{{kNat4, spec_of(addresses(Family::kIpv4, 2'000, "10.96.0.1"))},
                                {kNat6, spec_of(addresses(Family::kIpv6, 2'000, "fd00::1"))}};
  turn(*backend, goals);
  turn(*backend, goals);
  SyncOptions options;
  options.check = true;
  std::size_t waiting = 0;
  for (const SyncReport& report : backend->sync(goals, options)) {
    waiting += report.waits ? 1 : 0;
    CHECK(report.check_ended);
  }
  CHECK(waiting == 1);
}

TEST_CASE("rules are prepared without the lock") {
  const Sandbox sandbox;
  if (!sandbox.usable()) return;
  const auto backend = make_legacy_backend(sandbox.options());
  XtablesLock other(sandbox.lock_file(), {}, {});
  std::vector<Goal> goals{{kNat4, spec_of(addresses(Family::kIpv4, 5'000, "10.96.0.1"))}};
  std::optional<XtablesLock::Guard> guard;
  auto acquired = other.acquire();
  REQUIRE(acquired.ok());
  guard.emplace(std::move(*acquired));
  for (int part = 0; part < 2; ++part) {
    const SyncReport report = backend->sync(goals, {}).front();
    CHECK(report.left.has_value());
    CHECK_FALSE(report.error.has_value());
  }
  const SyncReport busy = backend->sync(goals, {}).front();
  REQUIRE(busy.error.has_value());
  CHECK(busy.error->kind == ErrorKind::kRetry);
  guard.reset();
  CHECK(backend->sync(goals, {}).front().verified);
}

TEST_CASE("chains are proven when they are written as they are when they are read") {
  const Sandbox sandbox;
  if (!sandbox.usable()) return;
  for (const TableId id : {kNat4, kNat6}) {
    const bool v4 = id == kNat4;
    const char* const cluster = v4 ? "10.96.0.1" : "fd00::1";
    const DesiredTable desired = external_cluster_chains(addresses(id.family, 300, cluster));
    const ChainDigests digests = digests_of(desired);
    auto socket = TableSocket::open(id.family);
    REQUIRE(socket.ok());
    SeenShapes seen;
    XtablesLock lock(sandbox.lock_file(), {}, {});
    const auto begin = [&](TableMemory& memory) {
      auto guard = lock.acquire();
      REQUIRE(guard.ok());
      auto begun = begin_transaction({id, *socket, seen, memory}, std::move(*guard), &digests);
      if (!begun) FAIL(begun.error().message);
      return std::move(*begun);
    };
    TableMemory writer;
    {
      const auto transaction = begin(writer);
      const TablePlan plan = make_plan(id, desired, transaction->observed());
      REQUIRE(transaction->commit(plan).ok());
    }
    TableMemory reader;
    CHECK(begin(reader)->observed().chains.empty());  // all as expected
    CHECK(writer.proofs.size() == desired.chains.size());
    CHECK(writer.proofs == reader.proofs);
    // Of what was written a rule that is changed behind our back is found.
    const std::string jump = iptables(id) + " -R NMANAGER_OUTPUT 1 -j NMANAGER_MARK_MASQ";
    must(jump);
    CHECK(begin(writer)->observed().chains.size() == 1);
  }
}

TEST_CASE("a rule that came between the read and the commit is not proven to be ours") {
  const Sandbox sandbox;
  if (!sandbox.usable()) return;
  const auto backend = make_legacy_backend(sandbox.options());
  DesiredTable desired;
  desired.chains = {{ChainName("NMANAGER_A"), {jump_to("NMANAGER_B")}},
                    {ChainName("NMANAGER_B"), {}}};
  const ChainDigests digests = digests_of(desired);
  REQUIRE(sync_table(*backend, kNat4, desired, {}, {}, &digests).verified);
  must(iptables(kNat4) + " -N OTHER; " + iptables(kNat4) + " -A OTHER -j RETURN");
  must(iptables(kNat4) + " -F NMANAGER_A");
  {
    const auto begun = backend->begin_expecting(kNat4, digests, {});
    REQUIRE(begun.ok());
    const TablePlan plan = make_plan(kNat4, desired, (*begun)->observed());
    // The size of the table stays.
    must(lockless(iptables(kNat4) + " -A NMANAGER_A -j RETURN"));
    must(lockless(iptables(kNat4) + " -D OTHER -j RETURN"));
    REQUIRE((*begun)->commit(plan).ok());
    REQUIRE(save(kNat4).find("-A NMANAGER_A -j RETURN") != std::string::npos);
  }
  REQUIRE(sync_table(*backend, kNat4, desired, {}, {}, &digests).verified);
  CHECK(save(kNat4).find("-A NMANAGER_A -j RETURN") == std::string::npos);
}

TEST_CASE("a chain of which a rule was kept is not proven to be what was added to it") {
  const Sandbox sandbox;
  if (!sandbox.usable()) return;
  const auto backend = make_legacy_backend(sandbox.options());
  const Rule first = jump_to("NMANAGER_B");
  const Rule second = jump_to("NMANAGER_C");
  for (const std::vector<Rule>& rules : {std::vector{first}, {first, second}, {second}}) {
    DesiredTable desired;
    desired.chains = {{ChainName("NMANAGER_A"), rules},
                      {ChainName("NMANAGER_B"), {}},
                      {ChainName("NMANAGER_C"), {}}};
    const ChainDigests digests = digests_of(desired);
    REQUIRE(sync_table(*backend, kNat4, desired, {}, {}, &digests).verified);
    CHECK(make_plan(kNat4, desired, look(*backend, kNat4)).empty());
  }
}

}  // namespace nmanager::test
