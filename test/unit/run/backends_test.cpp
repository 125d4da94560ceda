// When the evidence is read, how a backend is created, and how the others are cleared.
#include "plugin/run/backends.h"

#include <doctest/doctest.h>

#include <map>
#include <set>
#include <string>

#include "test/fake_world/fake_world.h"

namespace nmanager::test {
namespace {

using namespace std::chrono_literals;

Settings with(BackendChoice backend) {
  Settings settings;
  settings.backend.value = backend;
  return settings;
}

}  // namespace

TEST_CASE("a new mode of kube-proxy is used at once; other evidence is read when due") {
  FakeWorld world;
  world.variants = in_use(detect::Variant::kNft);
  run::Backends backends(with(BackendChoice::kAuto), world.world().kernel);
  TimePoint now = world.now().mono;
  REQUIRE(backends.look(now, ProxyMode::kIptables, {}));
  CHECK(backends.backend()->name() == "iptables-nft");
  now += 1ms;
  world.variants = in_use(detect::Variant::kLegacy);
  CHECK_FALSE(backends.look(now, ProxyMode::kIptables, {}));
  const auto known = backends.look(now, ProxyMode::kNftables, {});
  REQUIRE(known);
  CHECK(known->name == "nftables");
}

TEST_CASE("uncertain evidence is read every second, certain evidence every ten seconds") {
  FakeWorld world;
  run::Backends backends(with(BackendChoice::kAuto), world.world().kernel);
  const TimePoint now = world.now().mono;
  (void)backends.look(now, ProxyMode::kIptables, {});
  CHECK(backends.next_look() == now + 1s);
  world.variants = in_use(detect::Variant::kNft);
  (void)backends.look(now + 1s, ProxyMode::kIptables, {});
  CHECK(backends.next_look() == now + 11s);
}

TEST_CASE("a read-only command never creates tables") {
  for (const auto creation : {run::TableCreation::kAsNeeded, run::TableCreation::kNever}) {
    FakeWorld world;
    run::Backends backends(with(BackendChoice::kLegacy), world.world().kernel, creation);
    (void)backends.look(world.now().mono, ProxyMode::kIptables, {});
    CHECK(world.tables.at(BackendChoice::kLegacy).options.create_tables ==
          (creation == run::TableCreation::kAsNeeded));
  }
}

TEST_CASE("a failed clear is retried soon, a cleared backend is checked after minutes") {
  FakeWorld world;
  run::Backends backends(with(BackendChoice::kNft), world.world().kernel);
  TimePoint now = world.now().mono;
  (void)backends.look(now, ProxyMode::kIptables, {});
  using Cleared = run::Backends::Cleared;
  bool clean = false;
  int asked = 0;
  const auto pass = [&](std::chrono::seconds time) {
    for (const TimePoint end = now + time; now <= end; now += 1s) {
      backends.clear_next(now, [&](Backend& other, bool /*in_use*/, std::set<TableId>& /*done*/) {
        if (other.name() != "iptables-legacy") return Cleared::kDone;
        CHECK_FALSE(world.tables.at(BackendChoice::kLegacy).options.create_tables);
        ++asked;
        return clean ? Cleared::kDone : Cleared::kRetry;
      });
    }
  };
  pass(35s);
  CHECK(asked == 4);  // every ten seconds
  clean = true;
  pass(10s);
  CHECK(asked == 5);
  pass(200s);
  CHECK(asked == 5);
  pass(120s);
  CHECK(asked == 6);
}

TEST_CASE("a backend that is cleared in parts is the same one for each, without a pause") {
  FakeWorld world;
  run::Backends backends(with(BackendChoice::kNft), world.world().kernel);
  const TimePoint now = world.now().mono;
  (void)backends.look(now, ProxyMode::kIptables, {});
  using Cleared = run::Backends::Cleared;
  std::map<std::string, std::set<Backend*>> seen;
  std::map<std::string, int> parts;
  for (int turn = 0; turn < 20 && backends.next_clear() <= now; ++turn) {
    backends.clear_next(now, [&](Backend& other, bool /*in_use*/, std::set<TableId>& done) {
      const std::string name(other.name());
      seen[name].insert(&other);
      CHECK(done.size() == static_cast<std::size_t>(parts[name]));
      done.insert(kTables.at(done.size()));
      return ++parts[name] < 4 ? Cleared::kPart : Cleared::kDone;
    });
  }
  CHECK(parts == std::map<std::string, int>{{"iptables-legacy", 4}, {"nftables", 4}});
  for (const auto& one : seen) CHECK(one.second.size() == 1);
}

}  // namespace nmanager::test
