// Decisions of the loop, each with the correct result.
#include <doctest/doctest.h>

#include <algorithm>
#include <utility>

#include "plugin/run/commands.h"
#include "test/fake_world/fake_world.h"
#include "test/support/tables.h"

namespace nmanager::test {
namespace {

using namespace std::chrono_literals;

Settings settings_for(BackendChoice backend) {
  Settings settings;
  settings.backend.value = backend;
  settings.pod_cidr_ipv4.value = Prefix::parse("10.244.0.0/16");
  return settings;
}

void quiet_files(FakeWorld& world) {
  world.files.config = settings::KubeProxyConfig{};
}

Service service(const char* name, const char* ip) {
  Service result;
  result.key = std::string("default/") + name;
  result.type = ServiceType::kLoadBalancer;
  result.external_policy_local = true;
  result.cluster_ips = {*Address::parse("10.96.0.1")};
  result.ingress = {{*Address::parse(ip), true}};
  result.ports = {{Protocol::kTcp, 80}};
  return result;
}

bool holds(const FakeTables& tables, TableId id, const std::string& text) {
  return tables.kernel.text(id).find(text) != std::string::npos;
}

/// Rules that an earlier process left behind.
void leave_rules(FakeTables& tables) {
  for (const TableId id : kTables) tables.kernel.add_chain(id, "NMANAGER_OLD");
}

void start_ipvs(Driver& driver) {
  driver.pass(1s);
  driver.post(ModeKnown{ProxyMode::kIpvs, "test", ""});
}

void list(Driver& driver, std::vector<Service> services) {
  REQUIRE(!driver.world.sinks.empty());
  driver.world.sinks.back()(ServicesListed{std::move(services), "1"});
  driver.loop->turn();
}

}  // namespace

TEST_CASE("a backend by setting: rules in others are removed after the new ones exist") {
  Driver driver(settings_for(BackendChoice::kNftables), [](FakeWorld& world) {
    quiet_files(world);
    leave_rules(world.tables.at(BackendChoice::kNft));
    leave_rules(world.tables.at(BackendChoice::kLegacy));
  });
  FakeTables& used = driver.world.tables.at(BackendChoice::kNftables);
  bool in_place_first = true;
  for (const BackendChoice other : {BackendChoice::kNft, BackendChoice::kLegacy}) {
    driver.world.tables.at(other).during_sync = [&] {
      in_place_first = in_place_first && holds(used, kFilter4, "NMANAGER_INPUT");
    };
  }
  driver.post(ModeKnown{ProxyMode::kIptables, "test", ""});
  driver.pass(2s);
  CHECK(in_place_first);
  for (const BackendChoice other : {BackendChoice::kNft, BackendChoice::kLegacy}) {
    CHECK_FALSE(holds(driver.world.tables.at(other), kFilter4, "NMANAGER_"));
    CHECK_FALSE(holds(driver.world.tables.at(other), kNat4, "NMANAGER_"));
  }
  // Another program may restore an old ruleset later.
  leave_rules(driver.world.tables.at(BackendChoice::kLegacy));
  driver.pass(301s);
  CHECK_FALSE(holds(driver.world.tables.at(BackendChoice::kLegacy), kNat4, "NMANAGER_"));
}

TEST_CASE("large tables of another backend are cleared one in a turn, and each once") {
  Driver driver(settings_for(BackendChoice::kNft), [](FakeWorld& world) {
    quiet_files(world);
    FakeTables& legacy = world.tables.at(BackendChoice::kLegacy);
    leave_rules(legacy);
    // Of rules of others: they stay large.
    legacy.kernel.large = {kTables.begin(), kTables.end()};
  });
  FakeTables& legacy = driver.world.tables.at(BackendChoice::kLegacy);
  int turns = 0;
  legacy.during_sync = [&] { ++turns; };
  driver.post(ModeKnown{ProxyMode::kIptables, "test", ""});
  driver.pass(2s);
  for (const TableId id : kTables) CHECK_FALSE(holds(legacy, id, "NMANAGER_"));
  CHECK(turns == kTables.size());
  driver.pass(100s);
  CHECK(turns == kTables.size());
  SUBCASE("while they cannot be read, now and then") {
    for (const TableId id : kTables) legacy.kernel.add_chain(id, "NMANAGER_AGAIN");
    legacy.kernel.fail_begin = Error{ErrorKind::kRetry, "the lock is held"};
    turns = 0;
    driver.pass(300s);
    CHECK(turns > 0);
    CHECK(turns <= 30);
    legacy.kernel.fail_begin.reset();
    driver.pass(11s);
    for (const TableId id : kTables) CHECK_FALSE(holds(legacy, id, "NMANAGER_"));
  }
}

TEST_CASE("rules in other backends are not removed while a change of ours waits for its repair") {
  Driver driver(settings_for(BackendChoice::kNft), quiet_files);
  FakeTables& nft = driver.world.tables.at(BackendChoice::kNft);
  FakeTables& legacy = driver.world.tables.at(BackendChoice::kLegacy);
  driver.post(ModeKnown{ProxyMode::kIptables, "test", ""});
  driver.pass(2s);
  leave_rules(legacy);
  int cleared = 0;
  int unprotected = 0;
  legacy.during_sync = [&] {
    ++cleared;
    if (nft.kernel.table(kFilter4).at("INPUT").rules.empty()) ++unprotected;
  };
  int waited = 0;
  for (int i = 0; i < 3200; ++i) {  // repairs are spaced out
    nft.kernel.flush(kFilter4, "INPUT");
    driver.post(TableChange{Family::kIpv4, "rival", 0, true});
    if (nft.kernel.table(kFilter4).at("INPUT").rules.empty()) ++waited;
    driver.pass(100ms);
  }
  CHECK(waited > 1000);
  CHECK(cleared > 0);
  CHECK(unprotected == 0);
  CHECK_FALSE(holds(legacy, kFilter4, "NMANAGER_"));
}

TEST_CASE("what is left in other backends until a table is decided goes as soon as it is") {
  Settings settings = settings_for(BackendChoice::kNft);
  settings.drop_invalid_forward.value = Switch::kOff;
  Driver driver(std::move(settings), [](FakeWorld& world) {
    quiet_files(world);
    leave_rules(world.tables.at(BackendChoice::kLegacy));
  });
  FakeTables& legacy = driver.world.tables.at(BackendChoice::kLegacy);
  driver.pass(2s);
  CHECK_FALSE(holds(legacy, kFilter4, "NMANAGER_"));
  CHECK(holds(legacy, kNat4, "NMANAGER_"));  // kube-proxy's mode is not known
  driver.post(ModeKnown{ProxyMode::kIptables, "test", ""});
  driver.pass(0s);
  CHECK_FALSE(holds(legacy, kNat4, "NMANAGER_"));
}

TEST_CASE("the variant changes: the new backend is in place before the old one is cleared") {
  Driver driver(settings_for(BackendChoice::kAuto), [](FakeWorld& world) {
    quiet_files(world);
    world.variants = in_use(detect::Variant::kNft);
  });
  FakeTables& nft = driver.world.tables.at(BackendChoice::kNft);
  FakeTables& legacy = driver.world.tables.at(BackendChoice::kLegacy);
  driver.post(ModeKnown{ProxyMode::kIptables, "test", ""});
  driver.pass(1s);
  REQUIRE(holds(nft, kFilter4, "NMANAGER_INPUT"));
  bool in_place_first = true;
  nft.during_sync = [&] {
    in_place_first = in_place_first && holds(legacy, kFilter4, "NMANAGER_INPUT");
  };
  driver.world.variants = in_use(detect::Variant::kLegacy);
  driver.pass(15s);
  CHECK(in_place_first);
  CHECK(holds(legacy, kFilter4, "NMANAGER_INPUT"));
  CHECK_FALSE(holds(nft, kFilter4, "NMANAGER_"));
}

TEST_CASE("a backend that has worked is left after a lasting failure, not after one") {
  Driver driver(settings_for(BackendChoice::kAuto), [](FakeWorld& world) {
    quiet_files(world);
    world.variants = in_use(detect::Variant::kNft);
  });
  FakeTables& nft = driver.world.tables.at(BackendChoice::kNft);
  FakeTables& native = driver.world.tables.at(BackendChoice::kNftables);
  driver.post(ModeKnown{ProxyMode::kIptables, "test", ""});
  driver.pass(1s);
  REQUIRE(holds(nft, kFilter4, "NMANAGER_INPUT"));

  nft.kernel.fail_begin = Error{ErrorKind::kUnsupported, "chain: no such file"};
  nft.changes.push_back({});
  driver.pass(5s);
  nft.kernel.fail_begin.reset();
  driver.pass(60s);
  CHECK_FALSE(holds(native, kFilter4, "NMANAGER_INPUT"));
  CHECK(driver.world.last().backend == "iptables-nft");

  nft.kernel.fail_begin = Error{ErrorKind::kUnsupported, "kernel lacks it"};
  nft.changes.push_back({});
  driver.pass(45s);
  CHECK(driver.world.last().backend == "nftables");
  CHECK(holds(native, kFilter4, "NMANAGER_INPUT"));
  // A backend with a permanent failure is tried again later.
  nft.kernel.fail_begin.reset();
  driver.pass(320s);
  CHECK(driver.world.last().backend == "iptables-nft");
  CHECK_FALSE(holds(native, kFilter4, "NMANAGER_"));
}

TEST_CASE("Services are requested only while rules may depend on them") {
  Driver driver(settings_for(BackendChoice::kNft), quiet_files);
  driver.pass(1s);
  CHECK(driver.world.clients == 0);  // the mode is not known
  driver.post(ModeKnown{ProxyMode::kIptables, "test", ""});
  CHECK(driver.world.clients == 0);
  CHECK(driver.world.last().why_no_services == "kube-proxy runs in iptables mode");
  driver.post(ModeKnown{ProxyMode::kIpvs, "test", ""});
  REQUIRE(driver.world.clients == 1);
  list(driver, {service("a", "20.0.0.1")});
  FakeTables& nft = driver.world.tables.at(BackendChoice::kNft);
  CHECK(holds(nft, kNat4, "-d 20.0.0.1/32"));

  driver.post(ModeKnown{ProxyMode::kNftables, "test", ""});
  CHECK(driver.world.clients == 0);
  CHECK(driver.loop->state().store.size() == 0);
  CHECK_FALSE(holds(nft, kNat4, "NMANAGER_"));
  // Events of a stopped client are ignored and cause no check of a table.
  const int syncs = nft.syncs;
  driver.world.sinks.front()(ServicesListed{{service("b", "20.0.0.2")}, "2"});
  driver.loop->turn();
  CHECK(driver.loop->state().store.size() == 0);
  CHECK(nft.syncs == syncs);

  driver.post(ModeKnown{ProxyMode::kIpvs, "test", ""});
  REQUIRE(driver.world.clients == 1);
  CHECK_FALSE(driver.loop->state().store.listed());
  list(driver, {service("c", "20.0.0.3")});
  CHECK(holds(nft, kNat4, "-d 20.0.0.3/32"));
}

TEST_CASE("new credentials: a new client, and events of the old one are ignored") {
  Driver driver(settings_for(BackendChoice::kNft), quiet_files);
  start_ipvs(driver);
  list(driver, {service("a", "20.0.0.1")});
  api::ApiAccess other;
  other.server = "https://192.0.2.1:6443";
  driver.world.api_access = other;
  driver.world.files_have_changed = true;
  driver.loop->turn();
  REQUIRE(driver.world.sinks.size() == 2);
  CHECK(driver.world.clients == 1);
  driver.world.sinks.front()(ServicesListed{{}, "7"});
  driver.loop->turn();
  CHECK(driver.loop->state().store.size() == 1);
  // If the access cannot be read, the running client continues.
  driver.world.api_access = Error{ErrorKind::kBadInput, "half a kubeconfig"};
  driver.world.files_have_changed = true;
  driver.loop->turn();
  CHECK(driver.world.clients == 1);
  CHECK(driver.world.logged("half a kubeconfig"));
}

TEST_CASE("a detected change is published before the read that may have to wait") {
  Driver driver(settings_for(BackendChoice::kNft), quiet_files);
  driver.post(ModeKnown{ProxyMode::kIptables, "test", ""});
  driver.pass(1s);
  FakeTables& nft = driver.world.tables.at(BackendChoice::kNft);
  const auto in_sync = [&] {
    const auto& tables = driver.world.last().tables;
    return std::ranges::find(tables, kFilter4, &TableStatus::id)->in_sync;
  };
  REQUIRE(in_sync());
  bool shown_first = false;
  nft.during_sync = [&] { shown_first = shown_first || !in_sync(); };
  nft.changes.push_back({});
  driver.pass(1s);
  CHECK(shown_first);
  CHECK(in_sync());
}

TEST_CASE("a displaced jump found with a change of a Service is reported as a repair") {
  Driver driver(settings_for(BackendChoice::kNft), quiet_files);
  start_ipvs(driver);
  list(driver, {service("a", "20.0.0.1")});
  FakeTables& nft = driver.world.tables.at(BackendChoice::kNft);
  nft.kernel.add_chain(kNat4, "KUBE-SERVICES");
  nft.kernel.insert(kNat4, "PREROUTING", 0, std::string("-j KUBE-SERVICES"));
  std::vector<Event> events;
  events.emplace_back(TableChange{Family::kIpv4, "iptables", 7, true});
  events.emplace_back(ApiEvent(ServiceChanged{service("b", "20.0.0.2")}));
  driver.post(std::move(events));
  CHECK(holds(nft, kNat4, "-d 20.0.0.2/32"));
  CHECK(driver.world.logged("jump_displaced in PREROUTING (changed by iptables)"));
  const auto& tables = driver.loop->state().tables;
  const auto nat = std::ranges::find(tables, kNat4, &reconciler::TableState::id);
  CHECK(nat->status.repairs == 1);
  CHECK(nat->status.syncs == 2);
}

TEST_CASE("contested ends by time, also while events arrive") {
  Driver driver(settings_for(BackendChoice::kNft), quiet_files);
  start_ipvs(driver);
  list(driver, {service("a", "20.0.0.1")});
  FakeTables& nft = driver.world.tables.at(BackendChoice::kNft);
  nft.kernel.add_chain(kNat4, "KUBE-SERVICES");
  for (int i = 0; i < 30; ++i) {
    nft.kernel.insert(kNat4, "PREROUTING", 0, std::string("-j KUBE-SERVICES"));
    driver.post(TableChange{Family::kIpv4, "rival", 1, true});
    driver.pass(10ms);
  }
  const auto contested = [&] {
    const auto& tables = driver.loop->state().tables;
    return std::ranges::find(tables, kNat4, &reconciler::TableState::id)->status.contested;
  };
  REQUIRE(contested());
  for (int i = 0; i < 90 && contested(); ++i) {
    driver.world.elapsed += 1s;
    driver.post(ApiEvent(ServiceChanged{
        service("a", i % 2 == 0 ? "20.0.0.2" : "20.0.0.1")}));  // no turn without an event
  }
  CHECK_FALSE(contested());
}

TEST_CASE("a file written while it was read is read again") {
  Driver driver(settings_for(BackendChoice::kNft), [](FakeWorld& world) {
    quiet_files(world);
    world.while_files_are_read = [&world] {
      settings::KubeProxyConfig config;
      config.pod_cidr_ipv6 = Prefix::parse("fd00:10::/56");
      world.files.config = config;
      world.files_have_changed = true;
    };
  });
  CHECK(driver.loop->settings().pod_cidr_ipv6.value == Prefix::parse("fd00:10::/56"));
}

TEST_CASE("the port is in use: rules first, reported, and served when it is free") {
  Driver driver(settings_for(BackendChoice::kNft), [](FakeWorld& world) {
    quiet_files(world);
    world.serve_problem = "cannot listen on 127.0.0.1 port 10261";
  });
  driver.pass(3s);
  CHECK(holds(driver.world.tables.at(BackendChoice::kNft), kFilter4, "NMANAGER_INPUT"));
  CHECK(std::ranges::count_if(driver.world.lines, [](const std::string& line) {
          return line.find("cannot listen on 127.0.0.1 port 10261") != std::string::npos;
        }) == 1);
  driver.world.serve_problem.clear();
  driver.pass(2s);
  CHECK(driver.world.logged("is served now"));
}

TEST_CASE("another nmanager on this node: nothing is changed, and it is reported") {
  Driver driver(settings_for(BackendChoice::kNft), [](FakeWorld& world) {
    quiet_files(world);
    world.other_nmanager = "another nmanager (process 7)";
  });
  driver.pass(10s);
  FakeTables& nft = driver.world.tables.at(BackendChoice::kNft);
  CHECK(nft.made == 0);
  CHECK(driver.world.beats > 5);
  CHECK_FALSE(driver.world.last().ready());
  CHECK(driver.world.last().checks.front().detail.find("process 7") != std::string::npos);
  CHECK(driver.world.logged("process 7"));
  driver.world.other_nmanager.clear();
  driver.pass(2s);
  CHECK(holds(nft, kFilter4, "NMANAGER_INPUT"));
}

TEST_CASE("missing rights to read tables are reported, not a missing sync of kube-proxy") {
  const Error denied{ErrorKind::kDenied, "not permitted (CAP_NET_ADMIN is needed)"};
  Driver driver(settings_for(BackendChoice::kNft), [&](FakeWorld& world) {
    quiet_files(world);
    world.tables.at(BackendChoice::kNft).kernel.fail_kube = denied;
  });
  driver.post(ModeKnown{ProxyMode::kIptables, "test", ""});
  driver.pass(3s);
  const auto& checks = driver.world.last().checks;
  const auto synced = std::ranges::find(checks, "kube-proxy-synced", &Check::name);
  REQUIRE(synced != checks.end());
  CHECK_FALSE(synced->ok);
  CHECK(synced->detail.find("could not be read") != std::string::npos);
  CHECK(synced->detail.find("CAP_NET_ADMIN") != std::string::npos);
}

TEST_CASE("an endless watch does not accumulate undecodable keys") {
  Driver driver(settings_for(BackendChoice::kNft), quiet_files);
  start_ipvs(driver);
  list(driver, {});
  ApiState watching;
  watching.phase = ApiState::Phase::kWatching;
  driver.post(ApiEvent(watching));
  std::vector<Event> events;
  for (int i = 0; i < 5000; ++i) {
    events.emplace_back(ApiEvent(ServiceUndecodable{"default/s" + std::to_string(i), "bad"}));
  }
  driver.post(std::move(events));
  CHECK(driver.loop->state().undecodable_keys.empty());
  CHECK(driver.loop->state().undecodable == 5000);
}

TEST_CASE("a resync is completed only by a later verification") {
  Driver driver(settings_for(BackendChoice::kNft), quiet_files);
  start_ipvs(driver);
  list(driver, {service("a", "20.0.0.1")});
  FakeTables& nft = driver.world.tables.at(BackendChoice::kNft);
  for (const char* chain : {"KUBE-SERVICES", "KUBE-MARK-MASQ"}) nft.kernel.add_chain(kNat4, chain);
  nft.kernel.append(kNat4, "KUBE-MARK-MASQ", std::string("-j MARK --set-xmark 0x4000/0x4000"));
  nft.kernel.fail_begin = Error{ErrorKind::kRetry, "busy"};  // it cannot be verified now
  driver.post(TableChange{});
  const auto& kube = driver.loop->state().kube.front();
  REQUIRE(kube.status.present);
  CHECK(kube.resynced_at.has_value());
  CHECK_FALSE(driver.world.last().ready());
  nft.kernel.fail_begin.reset();
  driver.pass(1s);
  CHECK_FALSE(driver.loop->state().kube.front().resynced_at.has_value());
}

TEST_CASE("cleanup reports missing rights, and refuses while nmanager runs") {
  FakeWorld world;
  quiet_files(world);
  leave_rules(world.tables.at(BackendChoice::kNft));
  SUBCASE("without the capability") {
    world.tables.at(BackendChoice::kNft).refused =
        Error{ErrorKind::kDenied, "not permitted (CAP_NET_ADMIN is needed)"};
    CHECK(run::cleanup_command({}, world.world()) == run::kExitFailed);
  }
  SUBCASE("a kernel without it has none of our rules") {
    world.tables.at(BackendChoice::kLegacy).refused = Error{ErrorKind::kUnsupported, "none"};
    CHECK(run::cleanup_command({}, world.world()) == run::kExitDone);
    CHECK_FALSE(holds(world.tables.at(BackendChoice::kNft), kNat4, "NMANAGER_"));
  }
  SUBCASE("from large tables as well") {
    FakeKernel& nft = world.tables.at(BackendChoice::kNft).kernel;
    nft.large = {kTables.begin(), kTables.end()};
    CHECK(run::cleanup_command({}, world.world()) == run::kExitDone);
    for (const TableId id : kTables) CHECK(nft.text(id).find("NMANAGER_") == std::string::npos);
  }
  SUBCASE("while another one runs") {
    world.other_nmanager = "another nmanager (process 7)";
    CHECK(run::cleanup_command({}, world.world()) == run::kExitFailed);
    CHECK(holds(world.tables.at(BackendChoice::kNft), kNat4, "NMANAGER_"));
  }
}

}  // namespace nmanager::test
