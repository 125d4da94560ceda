// The lock of all iptables-legacy commands.
#include "hooks/iptables_legacy/lock.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <string>
#include <thread>

#include "hooks/chains/sync.h"
#include "test/unit/iptables_legacy/sandbox.h"

namespace nmanager::test {
using namespace nmanager::chains;
using namespace nmanager::iptables_legacy;
namespace {

using iptables_legacy::XtablesLock;
using std::chrono::milliseconds;

/// Another program that holds the lock file.
class Rival {
 public:
  explicit Rival(const std::string& path)
      : fd_(open(path.c_str(), O_RDONLY | O_CREAT | O_CLOEXEC, 0600)) {}
  Rival(const Rival&) = delete;
  Rival& operator=(const Rival&) = delete;
  ~Rival() { close(fd_); }

  [[nodiscard]] bool lock() const { return flock(fd_, LOCK_EX | LOCK_NB) == 0; }
  void unlock() const { flock(fd_, LOCK_UN); }

 private:
  int fd_;
};

}  // namespace

TEST_CASE("the lock is held as long as a guard exists") {
  const Sandbox sandbox;
  XtablesLock lock(sandbox.lock_file(), milliseconds(0));
  const Rival rival(sandbox.lock_file());
  {
    const auto guard = lock.acquire();
    REQUIRE(guard.ok());
    CHECK(!rival.lock());
    {
      const auto second = lock.acquire();
      CHECK(second.ok());
    }
    CHECK(!rival.lock());
  }
  CHECK(rival.lock());
}

TEST_CASE("a transaction blocks every iptables-legacy command until it ends") {
  const Sandbox sandbox;
  if (!sandbox.usable()) return;
  const auto backend = make_legacy_backend(sandbox.options());
  const Rival rival(sandbox.lock_file());
  for (const TableId id : kTables) {
    auto transaction = backend->begin(id);
    REQUIRE(transaction.ok());
    CHECK(!rival.lock());
    DesiredTable desired;
    desired.chains[ChainName("NMANAGER_A")] = {};
    REQUIRE((*transaction)->commit(make_plan(id, desired, (*transaction)->observed())).ok());
    CHECK(!rival.lock());
    transaction.value().reset();
    CHECK(rival.lock());
    rival.unlock();
  }
}

TEST_CASE("a busy lock is waited for, up to the bound, and its holder is named") {
  const Sandbox sandbox;
  const Rival rival(sandbox.lock_file());
  REQUIRE(rival.lock());
  XtablesLock lock(sandbox.lock_file(), milliseconds(30));
  const auto start = std::chrono::steady_clock::now();
  const auto guard = lock.acquire();
  const auto waited = std::chrono::steady_clock::now() - start;
  REQUIRE(!guard.ok());
  CHECK(guard.error().kind == ErrorKind::kRetry);
  CHECK(waited >= milliseconds(30));
  const std::string& message = guard.error().message;
  CHECK(message.find(sandbox.lock_file()) != std::string::npos);
  CHECK(message.find("process " + std::to_string(getpid())) != std::string::npos);
  CHECK(message.find("nmanager_unit_") != std::string::npos);
}

TEST_CASE("the wait for the lock is reported separately from the work under it") {
  const Sandbox sandbox;
  if (!sandbox.usable()) return;
  LegacyOptions options = sandbox.options();
  options.lock_wait = milliseconds(30);
  const auto backend = make_legacy_backend(options);
  const TableId id{Family::kIpv4, Table::kNat};
  const SyncReport at_once = sync_table(*backend, id, DesiredTable{}, {}, {});
  REQUIRE(at_once.lock_wait);
  CHECK(*at_once.lock_wait < at_once.duration);
  const Rival rival(sandbox.lock_file());
  REQUIRE(rival.lock());
  const SyncReport waited = sync_table(*backend, id, DesiredTable{}, {}, {});
  CHECK(!waited.verified);
  REQUIRE(waited.lock_wait);
  CHECK(*waited.lock_wait >= milliseconds(30));  // of this sync only, not the sum
  CHECK(*waited.lock_wait <= waited.duration);
}

TEST_CASE("several goals take the lock once and wait for it once, even with retries") {
  const Sandbox sandbox;
  if (!sandbox.usable()) return;
  LegacyOptions options = sandbox.options();
  options.create_tables = true;
  options.lock_wait = milliseconds(200);
  const auto backend = make_legacy_backend(options);
  const auto goals = no_rules_anywhere();
  const Rival rival(sandbox.lock_file());
  REQUIRE(rival.lock());
  const auto reports = backend->sync(goals, {});
  std::chrono::nanoseconds waited{};
  for (const SyncReport& report : reports) {
    REQUIRE(report.error.has_value());
    CHECK(report.error->kind == ErrorKind::kRetry);
    CHECK(report.error->message.find("held by process " + std::to_string(getpid())) !=
          std::string::npos);
    REQUIRE(report.lock_wait.has_value());
    waited += *report.lock_wait;
  }
  CHECK(waited >= milliseconds(200));
  CHECK(*reports.front().lock_wait >= milliseconds(200));
  for (std::size_t i = 1; i < reports.size(); ++i) CHECK(*reports[i].lock_wait < milliseconds(200));
  CHECK(backend->plan_text(goals).problems.size() == goals.size());
  rival.unlock();
  for (const SyncReport& report : backend->sync(goals, {})) CHECK(report.verified);
  CHECK(rival.lock());  // the lock is free afterwards
}

TEST_CASE("the wait for the lock ends when a stop is requested") {
  const Sandbox sandbox;
  if (!sandbox.usable()) return;
  LegacyOptions options = sandbox.options();
  options.create_tables = true;
  options.lock_wait = std::chrono::hours(1);
  int asked = 0;
  options.stop_requested = [&] { return ++asked > 3; };
  const auto backend = make_legacy_backend(options);
  const Rival rival(sandbox.lock_file());
  REQUIRE(rival.lock());
  for (const SyncReport& report : backend->sync(no_rules_anywhere(), {})) {
    REQUIRE(report.error.has_value());
    CHECK(report.error->kind == ErrorKind::kRetry);
    CHECK(report.error->message.find("this process stops") != std::string::npos);
  }
}

TEST_CASE("the time for which it has been busy is reported across several waits") {
  const Sandbox sandbox;
  const Rival rival(sandbox.lock_file());
  REQUIRE(rival.lock());
  XtablesLock lock(sandbox.lock_file(), milliseconds(20));
  const auto busy_for = [&] {
    const std::string message = lock.acquire().error().message;
    return std::stoi(message.substr(message.find("busy for ") + 9));
  };
  CHECK(busy_for() >= 20);
  CHECK(busy_for() >= 40);
  rival.unlock();
  CHECK(lock.acquire().ok());
}

TEST_CASE("a directory is not a lock, and a pipe does not block") {
  const Sandbox sandbox;
  for (const std::string make : {"mkdir ", "mkfifo "}) {
    const std::string path = sandbox.directory() + "/other";
    must(make + path);
    XtablesLock lock(path, std::chrono::hours(1));
    const auto guard = lock.acquire();
    CHECK(guard.ok() == (make == "mkfifo "));  // flock() works on a pipe, also for iptables
    if (!guard) CHECK(guard.error().message.find("Is a directory") != std::string::npos);
    std::filesystem::remove(path);
  }
}

TEST_CASE("a lock that is released within the bound is taken") {
  const Sandbox sandbox;
  const Rival rival(sandbox.lock_file());
  REQUIRE(rival.lock());
  XtablesLock lock(sandbox.lock_file(), std::chrono::minutes(1));
  std::thread holder([&] {
    std::this_thread::sleep_for(milliseconds(20));  // so that acquire() has to wait; not a deadline
    rival.unlock();
  });
  const auto guard = lock.acquire();
  holder.join();
  CHECK(guard.ok());
}

TEST_CASE("a new lock file replaces the old one") {
  const Sandbox sandbox;
  XtablesLock lock(sandbox.lock_file(), milliseconds(0));
  { CHECK(lock.acquire().ok()); }
  std::filesystem::remove(sandbox.lock_file());
  const Rival rival(sandbox.lock_file());
  REQUIRE(rival.lock());
  CHECK(!lock.acquire().ok());  // the old file, still open, is free
  rival.unlock();
  const auto guard = lock.acquire();
  CHECK(guard.ok());
  CHECK(!rival.lock());
}

TEST_CASE("a removed lock file is created again") {
  const Sandbox sandbox;
  XtablesLock lock(sandbox.lock_file(), milliseconds(0));
  { CHECK(lock.acquire().ok()); }
  std::filesystem::remove(sandbox.lock_file());
  const auto guard = lock.acquire();
  CHECK(guard.ok());
  CHECK(std::filesystem::exists(sandbox.lock_file()));
  CHECK(!Rival(sandbox.lock_file()).lock());
}

TEST_CASE("a lock file that cannot be opened is an error that names it") {
  const Sandbox sandbox;
  const std::string path = sandbox.directory() + "/no/such/directory/lock";
  XtablesLock lock(path, milliseconds(0));
  const auto guard = lock.acquire();
  REQUIRE(!guard.ok());
  CHECK(guard.error().kind == ErrorKind::kUnavailable);
  CHECK(guard.error().message.find(path) != std::string::npos);
  CHECK(guard.error().message.find("No such file") != std::string::npos);
}

TEST_CASE("a begin that cannot lock returns an error") {
  const Sandbox sandbox;
  if (!sandbox.usable()) return;
  LegacyOptions options = sandbox.options();
  options.lock_wait = milliseconds(1);
  const auto backend = make_legacy_backend(options);
  const Rival rival(sandbox.lock_file());
  REQUIRE(rival.lock());
  for (const TableId id : kTables) {
    const auto busy = backend->begin(id);
    REQUIRE(!busy.ok());
    CHECK(busy.error().kind == ErrorKind::kRetry);
  }
  options.lock_file = "/proc/nmanager/lock";
  const auto nowhere = make_legacy_backend(options)->begin(kTables[0]);
  REQUIRE(!nowhere.ok());
  CHECK(nowhere.error().kind == ErrorKind::kUnavailable);
}

TEST_CASE("the lock file is the one that iptables-legacy takes") {
  const Sandbox sandbox;  // sets $XTABLES_LOCKFILE
  CHECK(lock_file_path() == sandbox.lock_file());
  setenv("XTABLES_LOCKFILE", "", 1);
  CHECK(lock_file_path() == "/run/xtables.lock");
  unsetenv("XTABLES_LOCKFILE");
  CHECK(lock_file_path() == "/run/xtables.lock");
}

}  // namespace nmanager::test
