// Which changes the watch reports.
#include <doctest/doctest.h>
#include <poll.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "test/support/tables.h"
#include "test/unit/iptables_legacy/sandbox.h"

namespace nmanager::test {
using namespace nmanager::chains;
using namespace nmanager::iptables_legacy;
namespace {

bool readable(const ChangeWatch& watch, int timeout_ms) {
  pollfd waited{watch.fd(), POLLIN, 0};
  return poll(&waited, 1, timeout_ms) == 1;
}

/// Consumes all changes reported so far, as after a read of all tables.
void settle(ChangeWatch& watch) {
  (void)watch.drain();
  REQUIRE(!readable(watch, 0));
  REQUIRE(watch.drain().empty());
}

}  // namespace

TEST_CASE("any iptables-legacy command wakes the watch") {
  const Sandbox sandbox;
  if (!sandbox.usable()) return;
  must(iptables(kNat4) + " -S; " + iptables(kNat6) + " -S");
  const auto watch = make_legacy_watch(sandbox.options());
  settle(*watch);
  const std::vector<std::string> commands = {
      iptables(kNat4) + " -A OUTPUT -j RETURN", iptables(kNat4) + " -S",
      iptables(kNat4) + " -D OUTPUT 1", iptables(kNat6) + " -N X",
      "echo '*nat\nCOMMIT' | iptables-legacy-restore --noflush"};
  for (const std::string& command : commands) {
    CAPTURE(command);
    must(command);
    CHECK(readable(*watch, 0));  // the file is closed before the command ends
    const auto changes = watch->drain();
    REQUIRE(!changes.empty());
    CHECK(!changes.front().family.has_value());
    CHECK(!changes.front().certain);
    settle(*watch);
  }
}

TEST_CASE("a change of the table's size is certain and has a family") {
  const Sandbox sandbox;
  if (!sandbox.usable()) return;
  must(iptables(kNat4) + " -S; " + iptables(kNat6) + " -S");
  const auto watch = make_legacy_watch(sandbox.options());
  settle(*watch);
  for (const TableId id : {kNat4, kNat6}) {
    must(lockless(iptables(id) + " -A OUTPUT -j RETURN"));
    CHECK(!readable(*watch, 0));  // it takes another lock: only the poll detects it
    const auto changes = watch->drain();
    REQUIRE(changes.size() == 1);
    CHECK(changes[0].family == id.family);
    CHECK(changes[0].certain);
    CHECK(watch->drain().empty());
  }
}

TEST_CASE("a new table is a change") {
  const Sandbox sandbox;
  if (!sandbox.usable()) return;
  const auto watch = make_legacy_watch(sandbox.options());
  settle(*watch);
  must(lockless(iptables(kNat6) + " -S"));
  const auto changes = watch->drain();
  REQUIRE(changes.size() == 1);
  CHECK(changes[0].family == Family::kIpv6);
  settle(*watch);
}

TEST_CASE("our own commits are not changes") {
  const Sandbox sandbox;
  if (!sandbox.usable()) return;
  const LegacyOptions options = sandbox.options();
  const auto backend = make_legacy_backend(options);
  for (const TableId id : kTables) look(*backend, id);
  const auto watch = make_legacy_watch(options);
  settle(*watch);
  for (const TableId id : kTables) {
    DesiredTable desired;
    desired.chains[ChainName("NMANAGER_A")] = {jump_to("NMANAGER_B")};
    desired.chains[ChainName("NMANAGER_B")] = {};
    apply(*backend, id, desired);
    CHECK(!readable(*watch, 0));
    CHECK(watch->drain().empty());
    look(*backend, id);
    CHECK(!readable(*watch, 0));
    CHECK(watch->drain().empty());
  }
  must(iptables(kNat4) + " -A OUTPUT -j RETURN");
  CHECK(watch->drain().size() == 2);  // the hint, and the certain change of the family
}

TEST_CASE("a watch with separate options reports our commit once") {
  const Sandbox sandbox;
  if (!sandbox.usable()) return;
  const auto backend = make_legacy_backend(sandbox.options());
  look(*backend, kNat4);
  const auto watch = make_legacy_watch(sandbox.options());
  settle(*watch);
  DesiredTable desired;
  desired.chains[ChainName("NMANAGER_A")] = {};
  apply(*backend, kNat4, desired);
  CHECK(watch->drain().size() == 1);
  CHECK(watch->drain().empty());
}

TEST_CASE("a lock file that is removed and created again still wakes the watch") {
  const Sandbox sandbox;
  if (!sandbox.usable()) return;
  must(iptables(kNat4) + " -S");
  const LegacyOptions options = sandbox.options();
  const auto backend = make_legacy_backend(options);
  look(*backend, kNat4);  // keeps the old file open
  const auto watch = make_legacy_watch(options);
  settle(*watch);
  for (int round = 0; round < 3; ++round) {
    CAPTURE(round);
    std::filesystem::remove(sandbox.lock_file());
    (void)watch->drain();
    must(iptables(kNat4) + " -S");  // creates it again
    CHECK(readable(*watch, 0));
    CHECK(!watch->drain().empty());
    settle(*watch);
    must(iptables(kNat4) + " -S");  // takes the new one
    CHECK(readable(*watch, 0));
    CHECK(!watch->drain().empty());
    settle(*watch);
  }
  // Moved into place, as an editor or a package would.
  must("touch $XTABLES_LOCKFILE.new && mv $XTABLES_LOCKFILE.new $XTABLES_LOCKFILE");
  CHECK(!watch->drain().empty());
  settle(*watch);
  must(iptables(kNat4) + " -S");
  CHECK(!watch->drain().empty());
}

TEST_CASE("a lock file and directory that do not exist yet are watched once they do") {
  const Sandbox sandbox;
  if (!sandbox.usable()) return;
  LegacyOptions options = sandbox.options();
  options.lock_file = sandbox.directory() + "/later/lock";
  const auto watch = make_legacy_watch(options);
  CHECK(watch->fd() >= 0);
  settle(*watch);
  must("mkdir " + sandbox.directory() + "/later");
  (void)watch->drain();  // the next poll finds the directory
  must("XTABLES_LOCKFILE=" + options.lock_file + ' ' + iptables(kNat4) + " -S");
  CHECK(readable(*watch, 0));
  CHECK(!watch->drain().empty());
}

TEST_CASE("a flood of cycles is reported as one, and the next cycle is reported again") {
  const Sandbox sandbox;
  if (!sandbox.usable()) return;
  const auto watch = make_legacy_watch(sandbox.options());
  must("touch $XTABLES_LOCKFILE");
  settle(*watch);
  must("i=0; while [ $i -lt 20000 ]; do : <$XTABLES_LOCKFILE; i=$((i+1)); done");
  CHECK(watch->drain().size() == 1);
  settle(*watch);
  must(": <$XTABLES_LOCKFILE");
  CHECK(watch->drain().size() == 1);
}

}  // namespace nmanager::test
