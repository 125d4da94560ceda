// The loop in a fake world: its reactions to Services, tables and kube-proxy.
#include <doctest/doctest.h>

#include <algorithm>
#include <utility>

#include "plugin/reconciler/publish.h"
#include "plugin/reconciler/step.h"
#include "test/fake_world/fake_world.h"
#include "test/support/tables.h"

using namespace nmanager;
using namespace nmanager::chains;
using namespace nmanager::reconciler;
using namespace nmanager::services;
using namespace std::chrono_literals;
using test::FakeKernel;
using test::FakeTables;
using test::FakeWorld;
using test::kFilter4;
using test::kNat4;

namespace {

Service service(const char* name, const char* ip, const char* cluster = "10.96.0.1") {
  Service result;
  result.key = std::string("default/") + name;
  result.type = ServiceType::kLoadBalancer;
  result.external_policy_local = true;
  result.cluster_ips = {*Address::parse(cluster)};
  result.ingress = {{*Address::parse(ip), true}};
  result.ports = {{Protocol::kTcp, 80}};
  return result;
}

ApiState api_state(ApiState::Phase phase, const char* error = "") {
  ApiState state;
  state.phase = phase;
  state.last_error = error;
  return state;
}

Settings with_pods() {
  Settings settings;
  settings.pod_cidr_ipv4.value = Prefix::parse("10.244.0.0/16");
  return settings;
}

std::string why_not_ready(const Snapshot& snapshot) {
  std::string text;
  for (const Check& one : snapshot.checks) {
    if (!one.ok && !one.informational) text += one.name + ": " + one.detail + '\n';
  }
  return text;
}

/// The program's own loop in a fake world, whose only backend in use is iptables-nft.
class Rig {
 public:
  explicit Rig(const Settings& settings = with_pods())
      : driver_(on_nft(settings), [](FakeWorld& world) {
          world.files.config = settings::KubeProxyConfig{};
          FakeTables& nft = world.tables.at(BackendChoice::kNft);
          for (const TableId id : kTables) {
            if (id.table == Table::kNat) nft.kernel.add_chain(id, "UNUSED");
          }
          nft.refused = Error{ErrorKind::kUnavailable, "not yet"};
        }) {}

  void post(Event event) { driver_.post(std::move(event)); }
  void post(std::vector<Event> events) { driver_.post(std::move(events)); }
  void pass(std::chrono::milliseconds time) { driver_.pass(time); }

  void backend_comes() {
    tables.refused.reset();
    pass(1s);
  }

  void start() {
    backend_comes();
    post(ModeKnown{ProxyMode::kIpvs, "test", ""});
    post_service(ApiEvent(ServicesListed{{service("a", "20.0.0.1")}, "1"}));
  }

  /// kube-proxy writes its chains; a while later their content has been read for certain.
  void kube_syncs() {
    write_kube();
    pass(200ms);
  }

  void write_kube(std::span<const Family> families = kFamilies) {
    for (const Family family : families) {
      const TableId nat{family, Table::kNat};
      kernel.add_chain(nat, "KUBE-SERVICES");
      kernel.add_chain(nat, "KUBE-MARK-MASQ");
      kernel.flush(nat, "KUBE-MARK-MASQ");
      kernel.append(nat, "KUBE-MARK-MASQ", std::string("-j MARK --set-xmark 0x4000/0x4000"));
      kernel.append(nat, "KUBE-SERVICES", "-m comment --comment " + std::to_string(++syncs));
    }
    post(TableChange{});
  }

  /// A change of a Service, and the time that it may wait for a commit before it.
  void post_service(ApiEvent event) {
    post(std::move(event));
    pass(Pace::kLeast);
  }

  [[nodiscard]] const State& state() const { return driver_.loop->state(); }
  [[nodiscard]] Snapshot snapshot() const { return make_snapshot(state(), driver_.world.now()); }
  [[nodiscard]] const TableStatus& status(TableId id) const {
    return std::ranges::find(state().tables, id, &TableState::id)->status;
  }
  [[nodiscard]] bool logged(const std::string& part) const { return driver_.world.logged(part); }
  [[nodiscard]] bool ours(TableId id) const {
    return kernel.text(id).find("NMANAGER_") != std::string::npos;
  }
  [[nodiscard]] Check check(const std::string& name) const {
    for (const Check& one : snapshot().checks) {
      if (one.name == name) return one;
    }
    return {};
  }

 private:
  static Settings on_nft(Settings settings) {
    settings.backend.value = BackendChoice::kNft;
    return settings;
  }

  test::Driver driver_;

 public:
  FakeTables& tables = driver_.world.tables.at(BackendChoice::kNft);
  FakeKernel& kernel = tables.kernel;
  std::chrono::milliseconds& elapsed = driver_.world.elapsed;
  std::vector<std::string>& lines = driver_.world.lines;
  int& table_reads = tables.syncs;
  int& trims = driver_.world.trims;
  int& given_back = driver_.world.given_back;
  int& asked = driver_.world.asked_soon;
  int syncs = 0;
};

}  // namespace

TEST_CASE("nothing is written before a backend is known, nat not before mode and list are") {
  Rig rig;
  rig.pass(1h);
  CHECK(rig.kernel.commits() == 0);
  rig.backend_comes();
  CHECK(rig.ours(kFilter4));
  CHECK_FALSE(rig.ours(kNat4));
  rig.post(ModeKnown{ProxyMode::kIpvs, "test", ""});
  CHECK_FALSE(rig.ours(kNat4));
  rig.post(ApiEvent(ServicesListed{{service("a", "20.0.0.1")}, "1"}));
  CHECK(rig.kernel.text(kNat4).find("-d 20.0.0.1/32") != std::string::npos);
}

TEST_CASE("a change of a Service changes its rules, an equal one writes nothing") {
  Rig rig;
  rig.start();
  const int commits = rig.kernel.commits();
  rig.post_service(ApiEvent(ServiceChanged{service("a", "20.0.0.1")}));
  CHECK(rig.kernel.commits() == commits);
  rig.post_service(ApiEvent(ServiceChanged{service("a", "20.0.0.2")}));
  CHECK(rig.kernel.text(kNat4).find("20.0.0.1/32") == std::string::npos);
  CHECK(rig.kernel.text(kNat4).find("20.0.0.2/32") != std::string::npos);
  rig.post_service(ApiEvent(ServiceDeleted{"default/a"}));
  CHECK(rig.kernel.text(kNat4).find("20.0.0.2/32") == std::string::npos);
  CHECK(rig.status(kNat4).syncs == 3);
  CHECK(rig.status(kNat4).repairs == 0);
}

TEST_CASE("a burst of changes makes one commit") {
  Rig rig;
  rig.start();
  const int commits = rig.kernel.commits();
  std::vector<Event> events;
  for (int i = 0; i < 50; ++i) {
    const std::string number = std::to_string(i);
    events.emplace_back(
        ApiEvent(ServiceChanged{service(("b" + number).c_str(), ("20.0.1." + number).c_str())}));
  }
  rig.post(std::move(events));
  CHECK(rig.kernel.commits() == commits + 1);
  CHECK(rig.snapshot().services_with_rules == 51);
}

TEST_CASE("a single change goes in at once, a stream of changes shares commits") {
  Rig rig;
  rig.start();
  rig.pass(1s);
  const int commits = rig.kernel.commits();
  const auto holds = [&](const std::string& ip) {
    return rig.kernel.text(kNat4).find("-d " + ip + "/32") != std::string::npos;
  };
  constexpr int kChanges = 500;
  for (int i = 0; i < kChanges; ++i) {
    const std::string ip = "20.0." + std::to_string(i / 250) + "." + std::to_string(i % 250 + 1);
    rig.post(ApiEvent(ServiceChanged{service("b", ip.c_str())}));
    if (i == 0) CHECK(holds(ip));
    rig.pass(2ms);
  }
  rig.pass(Pace::kLeast);
  CHECK(holds("20.0.1.250"));
  const auto shared = rig.kernel.commits() - commits;
  CHECK(shared <= 1 + kChanges * 2ms / Pace::kLeast);
  CHECK(shared >= kChanges * 2ms / (2 * Pace::kLeast));
}

TEST_CASE("slow commits leave nine tenths of the time, and repairs wait for none of it") {
  Rig rig;
  rig.start();
  rig.pass(1s);
  rig.kernel.before_commit = [&] { rig.elapsed += 20ms; };
  const auto begin = rig.elapsed;
  const int commits = rig.kernel.commits();
  for (int i = 0; i < 1000; ++i) {
    const std::string ip = "20.0." + std::to_string(i / 250) + "." + std::to_string(i % 250 + 1);
    rig.post(ApiEvent(ServiceChanged{service("b", ip.c_str())}));
    rig.pass(5ms);
  }
  const auto passed = rig.elapsed - begin;
  CHECK((rig.kernel.commits() - commits - 2) * 20ms <= passed / 10);
  CHECK((rig.kernel.commits() - commits + 2) * 300ms >= passed);  // no change waits for longer
  rig.post(ApiEvent(ServiceChanged{service("b", "20.0.9.9")}));
  rig.post(ApiEvent(ServiceChanged{service("b", "20.0.9.10")}));
  CHECK(rig.kernel.text(kNat4).find("20.0.9.10/32") == std::string::npos);
  CHECK(rig.check("table-ipv4-nat").detail.find("; changes waiting: ") != std::string::npos);
  rig.kernel.flush(kNat4, "PREROUTING");
  rig.post(TableChange{Family::kIpv4, "", 0, true});
  CHECK(rig.kernel.table(kNat4).at("PREROUTING").rules.size() == 1);
  CHECK(rig.kernel.text(kNat4).find("20.0.9.10/32") != std::string::npos);  // goes along
  CHECK(rig.check("table-ipv4-nat").detail.find("waiting") == std::string::npos);
}

TEST_CASE("many changes at once are taken in parts, one in a turn") {
  constexpr std::size_t kAtOnce = reconciler::kChangesAtOnce;
  Rig rig;
  rig.start();
  rig.pass(1s);
  const auto many = [](const char* cluster) {
    std::vector<Service> services;
    for (int i = 0; i < 1000; ++i) {
      const std::string number = std::to_string(i);
      const std::string ip = "20.1." + std::to_string(i / 250) + "." + std::to_string(i % 250 + 1);
      services.push_back(service(("m" + number).c_str(), ip.c_str(), cluster));
    }
    return services;
  };
  const auto rules = [&](const std::string& part) {
    const std::string text = rig.kernel.text(kNat4);
    std::size_t count = 0;
    for (std::size_t at = 0; (at = text.find(part, at)) != std::string::npos; ++at) ++count;
    return count;
  };
  const auto listed = [&] { return rig.check("services-listed").detail; };
  SUBCASE("of a list") {
    rig.post(ApiEvent(ServicesListed{many("10.96.1.1"), "2"}));
    CHECK(listed() == "1 Services; changes waiting: 1001");
    rig.post(Tick{});
    CHECK(rules("--to-destination 10.96.1.1") == kAtOnce * 2);
    CHECK(listed() == "257 Services; changes waiting: 745");
    CHECK(rules("20.0.0.1/32") > 0);  // what goes, goes last
    rig.post(Tick{});
    CHECK(rules("--to-destination 10.96.1.1") == 2 * kAtOnce * 2);
    rig.pass(Pace::kLeast);
    CHECK(rules("--to-destination 10.96.1.1") == 1000 * 2);
    CHECK(rules("20.0.0.1/32") == 0);
    CHECK(listed() == "1000 Services");
  }
  SUBCASE("of a watch; a later list has the last word") {
    std::vector<Event> events;
    for (Service& one : many("10.96.1.1")) events.emplace_back(ApiEvent(ServiceChanged{one}));
    events.emplace_back(ApiEvent(ServiceDeleted{"default/m0"}));
    rig.post(std::move(events));
    CHECK(rules("--to-destination 10.96.1.1") == kAtOnce * 2);
    CHECK(rules("20.1.0.1/32") > 0);
    rig.post(ApiEvent(ServicesListed{many("10.96.2.2"), "2"}));
    rig.pass(2 * Pace::kLeast);
    CHECK(rules("--to-destination 10.96.1.1") == 0);
    CHECK(rules("--to-destination 10.96.2.2") == 1000 * 2);
  }
  SUBCASE("but not about a Service that it could not tell") {
    std::vector<Event> events;
    for (Service& one : many("10.96.1.1")) events.emplace_back(ApiEvent(ServiceChanged{one}));
    events.emplace_back(ApiEvent(api_state(ApiState::Phase::kListing)));
    events.emplace_back(ApiEvent(ServiceUndecodable{"default/m999", "metadata is a number"}));
    std::vector<Service> rest = many("10.96.1.1");
    rest.pop_back();
    events.emplace_back(ApiEvent(ServicesListed{std::move(rest), "2"}));
    rig.post(std::move(events));
    rig.pass(2 * Pace::kLeast);
    CHECK(rules("--to-destination 10.96.1.1") == 1000 * 2);
  }
  SUBCASE("a repair does not wait for them") {
    rig.kernel.flush(kNat4, "PREROUTING");
    rig.post({ApiEvent(ServicesListed{many("10.96.1.1"), "2"}),
              TableChange{Family::kIpv4, "", 0, true}});
    CHECK(rig.kernel.table(kNat4).at("PREROUTING").rules.size() == 1);
    CHECK(rules("--to-destination 10.96.1.1") == 0);
  }
  SUBCASE("but in one commit where each one replaces the whole table") {
    rig.post(BackendKnown{"fake", "", "", true});
    const int commits = rig.kernel.commits();
    rig.post(ApiEvent(ServicesListed{many("10.96.1.1"), "2"}));
    CHECK(rig.kernel.commits() == commits);
    rig.pass(Pace::kLeast);
    CHECK(rules("--to-destination 10.96.1.1") == 1000 * 2);
    CHECK(rig.kernel.commits() == commits + 1);
  }
}

TEST_CASE("the first list is taken in parts, and before the last one no rule is touched") {
  constexpr std::size_t kMany = 2 * reconciler::kListedAtOnce + 10;
  const std::string told = "the first list of Services is not complete: in progress";
  const auto list = [](const char* cluster) {
    std::vector<Service> services;
    for (std::size_t i = 0; i < kMany; ++i) {
      const std::string ip = "20.1." + std::to_string(i / 250) + "." + std::to_string(i % 250);
      services.push_back(service(("m" + std::to_string(i)).c_str(), ip.c_str(), cluster));
    }
    return ApiEvent(ServicesListed{std::move(services), "1"});
  };
  Rig rig;
  rig.backend_comes();
  rig.post(ModeKnown{ProxyMode::kIpvs, "test", ""});
  rig.kernel.add_chain(kNat4, "NMANAGER_EARLIER");
  rig.kernel.append(kNat4, "NMANAGER_EARLIER", "-j RETURN");
  const auto stands = [&] { return rig.kernel.table(kNat4).contains("NMANAGER_EARLIER"); };
  rig.post(list("10.96.1.1"));
  for (int turn = 0; turn < 2; ++turn) {
    rig.post(Tick{});
    CHECK(rig.check("services-listed").detail == told);
    CHECK(stands());
    CHECK(rig.kernel.text(kNat4).find("10.96.1.1") == std::string::npos);
  }
  SUBCASE("to its end") {
    rig.post(Tick{});
  }
  SUBCASE("which a newer one has overtaken") {
    rig.post(list("10.96.1.1"));
  }
  SUBCASE("and a change comes meanwhile") {
    rig.post(ApiEvent(ServiceChanged{service("m0", "20.1.0.0", "10.96.2.2")}));
    rig.pass(Pace::kLeast);
    CHECK(rig.kernel.text(kNat4).find("10.96.2.2") != std::string::npos);
  }
  SUBCASE("and more changes come than are taken in a turn: the list is complete before them") {
    std::vector<Event> changes;
    for (std::size_t i = 0; i <= reconciler::kListedAtOnce; ++i) {
      changes.emplace_back(ApiEvent(ServiceChanged{service("m0", "20.1.0.0", "10.96.2.2")}));
    }
    rig.post(std::move(changes));
    CHECK(rig.check("services-listed").detail ==
          std::to_string(kMany) + " Services; changes waiting: 11");
    rig.pass(1s);
    CHECK(rig.kernel.text(kNat4).find("10.96.2.2") != std::string::npos);
  }
  CHECK(rig.check("services-listed").detail == std::to_string(kMany) + " Services");
  rig.pass(Pace::kLeast);  // the rules are prepared in parts as well
  CHECK(rig.kernel.text(kNat4).find("10.96.1.1") != std::string::npos);
  CHECK_FALSE(stands());
}

TEST_CASE("a first list that is not wanted any more is dropped, whatever was taken of it") {
  Rig rig;
  rig.backend_comes();
  rig.post(ModeKnown{ProxyMode::kIpvs, "test", ""});
  std::vector<Service> services;
  for (std::size_t i = 0; i <= reconciler::kListedAtOnce; ++i) {
    services.push_back(service(("m" + std::to_string(i)).c_str(), "20.1.0.1"));
  }
  SUBCASE("nothing") {
    rig.post(ApiEvent(ServicesListed{std::move(services), "1"}));
  }
  SUBCASE("some of it") {
    rig.post(ApiEvent(ServicesListed{std::move(services), "1"}));
    rig.post(Tick{});
  }
  rig.post(ModeKnown{ProxyMode::kIptables, "test", ""});
  rig.post(ModeKnown{ProxyMode::kIpvs, "test", ""});
  rig.post(Tick{});
  CHECK_FALSE(rig.check("services-listed").ok);
  CHECK(rig.kernel.text(kNat4).find("20.1.0.1") == std::string::npos);
}

TEST_CASE("a list drops what is not in it, but not what could not be decoded") {
  Rig rig;
  rig.start();
  rig.post_service(ApiEvent(ServiceChanged{service("b", "20.0.0.2")}));
  rig.post(ApiEvent(api_state(ApiState::Phase::kListing)));
  rig.post(ApiEvent(ServiceUndecodable{"default/a", "metadata is a number"}));
  rig.post_service(ApiEvent(ServicesListed{{}, "2"}));
  CHECK(rig.kernel.text(kNat4).find("20.0.0.1/32") != std::string::npos);
  CHECK(rig.kernel.text(kNat4).find("20.0.0.2/32") == std::string::npos);
  CHECK(rig.snapshot().undecodable == 1);
  CHECK(rig.logged("default/a is skipped"));
  rig.post(ApiEvent(api_state(ApiState::Phase::kWatching)));
  rig.post(ApiEvent(api_state(ApiState::Phase::kListing)));
  rig.post_service(ApiEvent(ServicesListed{{}, "3"}));
  CHECK(rig.kernel.text(kNat4).find("20.0.0.1/32") == std::string::npos);
}

TEST_CASE("the mode decides about the external-cluster rules, and only about them") {
  Rig rig;
  rig.start();
  for (const auto mode : {ProxyMode::kIptables, ProxyMode::kNftables}) {
    const int given_back = rig.given_back;
    rig.post(ModeKnown{mode, "test", ""});
    CHECK_FALSE(rig.ours(kNat4));
    CHECK(rig.ours(kFilter4));
    CHECK(rig.given_back > given_back);  // the Services, and the rules of a backend with chains
    rig.post(ModeKnown{std::nullopt, "", "connection refused"});
    CHECK_FALSE(rig.ours(kNat4));
    rig.post(ModeKnown{ProxyMode::kIpvs, "test", ""});
    CHECK_FALSE(rig.ours(kNat4));  // Services are listed again first
    rig.post_service(ApiEvent(ServicesListed{{service("a", "20.0.0.1")}, "1"}));
    CHECK(rig.ours(kNat4));
  }
  rig.post(ModeKnown{std::nullopt, "", "connection refused"});
  CHECK(rig.ours(kNat4));
  CHECK_FALSE(rig.check("proxy-mode").ok);
  CHECK(rig.check("proxy-mode").detail.find("connection refused") != std::string::npos);
}

TEST_CASE("requested outside IPVS mode: refused with a warning") {
  Settings settings;
  settings.external_cluster.value = Switch::kOn;
  Rig rig(settings);
  rig.backend_comes();
  rig.post(ModeKnown{ProxyMode::kIptables, "test", ""});
  rig.post(ApiEvent(ServicesListed{{service("a", "20.0.0.1")}, "1"}));
  CHECK_FALSE(rig.ours(kNat4));
  const auto warnings = rig.snapshot().warnings;
  CHECK(std::ranges::any_of(warnings, [](const Warning& warning) {
    return warning.code == WarningCode::kExternalClusterRefused &&
           warning.text.find("is not obeyed") != std::string::npos;
  }));
}

TEST_CASE("switches of the INVALID rule") {
  for (const auto choice : {Switch::kOn, Switch::kOff, Switch::kAuto}) {
    for (const bool liberal : {false, true}) {
      Settings settings;
      settings.drop_invalid_input.value = choice;
      Rig rig(settings);
      rig.post(ConntrackKnown{liberal});
      rig.start();
      CHECK(rig.ours(kFilter4) == (choice == Switch::kOn || (choice == Switch::kAuto && !liberal)));
      rig.post(ConntrackKnown{!liberal});
      CHECK(rig.ours(kFilter4) == (choice == Switch::kOn || (choice == Switch::kAuto && liberal)));
    }
  }
}

TEST_CASE("a displaced jump is repaired at once, counted and reported with the process") {
  Rig rig;
  rig.start();
  rig.kube_syncs();
  rig.kernel.insert(kNat4, "PREROUTING", 0, std::string("-j KUBE-SERVICES"));
  rig.elapsed += 3ms;
  rig.post(TableChange{Family::kIpv4, "iptables", 4711, true});
  CHECK(rig.kernel.table(kNat4).at("PREROUTING").rules[0].jump_target() == "NMANAGER_PREROUTING");
  CHECK(rig.status(kNat4).repairs == 1);
  CHECK(rig.status(kNat4).repairs_by_cause.at(Cause::kJumpDisplaced) == 1);
  CHECK(rig.status(kNat4).repair_latency.total() == 1);
  CHECK(rig.logged("jump_displaced in PREROUTING (changed by iptables)"));
}

TEST_CASE("ready: listed, verified, and kube-proxy's sync verified") {
  Rig rig;
  rig.backend_comes();
  rig.post(ModeKnown{ProxyMode::kIpvs, "test", ""});
  CHECK_FALSE(rig.snapshot().ready());
  CHECK_FALSE(rig.check("services-listed").ok);
  rig.post(ApiEvent(ServicesListed{{}, "1"}));
  CHECK(rig.check("services-listed").ok);
  CHECK_FALSE(rig.snapshot().ready());
  CHECK(rig.check("kube-proxy-synced").detail.find("has not synced") != std::string::npos);
  rig.kube_syncs();
  CHECK(why_not_ready(rig.snapshot()) == "");
  // An unreachable API server does not unready a node whose rules are in place.
  rig.post(ApiEvent(api_state(ApiState::Phase::kBackingOff, "refused")));
  CHECK(why_not_ready(rig.snapshot()) == "");
  CHECK_FALSE(rig.check("api-server").ok);
  CHECK(rig.logged("refused"));
}

TEST_CASE("a kube-proxy sync is detected, counted, and our rules verified after it") {
  Rig rig;
  rig.start();
  rig.kube_syncs();
  const auto reads = rig.table_reads;
  rig.pass(1s);
  rig.kube_syncs();
  const KubeStatus kube = rig.snapshot().kube.front();
  CHECK(kube.present);
  CHECK(kube.resyncs == 1);
  CHECK(rig.table_reads > reads);
  REQUIRE(kube.verified_after.has_value());
  CHECK(*kube.verified_after >= *kube.last_resync);
  CHECK(rig.asked > 0);
  const auto before = rig.snapshot().kube.front().resyncs;
  rig.post(TableChange{});
  CHECK(rig.snapshot().kube.front().resyncs == before);
}

TEST_CASE("the content checksum is read again after 100 times its duration") {
  Rig rig;
  rig.tables.checksum_takes = 1ms;
  rig.start();
  rig.kube_syncs();
  rig.write_kube();
  CHECK(rig.snapshot().kube.front().resyncs == 1);
  rig.write_kube();
  CHECK(rig.snapshot().kube.front().resyncs == 1);
  rig.pass(99ms);
  CHECK(rig.snapshot().kube.front().resyncs == 1);
  rig.pass(1ms);
  CHECK(rig.snapshot().kube.front().resyncs == 2);
}

TEST_CASE("one reading of the content that took long does not delay the next one") {
  Rig rig;
  rig.tables.checksum_takes = 1ms;
  rig.start();
  rig.kube_syncs();
  rig.pass(100ms);
  rig.tables.checksum_takes = 1s;  // the process was preempted
  for (const Family family : kFamilies) {
    rig.kernel.delete_chain({family, Table::kNat}, "KUBE-SERVICES");
    rig.kernel.delete_chain({family, Table::kNat}, "KUBE-MARK-MASQ");
  }
  rig.post(TableChange{});
  CHECK_FALSE(rig.snapshot().kube.front().present);
  rig.tables.checksum_takes = 1ms;
  rig.pass(100ms);
  rig.kube_syncs();
  CHECK(rig.snapshot().kube.front().present);
}

TEST_CASE("kube-proxy's chains gone: not ready any more") {
  Rig rig;
  rig.start();
  rig.kube_syncs();
  rig.pass(1s);
  for (const Family family : kFamilies) {
    rig.kernel.delete_chain({family, Table::kNat}, "KUBE-SERVICES");
    rig.kernel.delete_chain({family, Table::kNat}, "KUBE-MARK-MASQ");
  }
  rig.post(TableChange{});
  CHECK_FALSE(rig.snapshot().ready());
  CHECK(rig.logged("chains are gone"));
}

TEST_CASE("a failure is reported once, retried with growing delays, and affects nothing else") {
  Rig rig;
  rig.kernel.fail_begin = Error{ErrorKind::kRetry, "lock is busy"};
  rig.start();
  const auto tries = [&] { return rig.status(kFilter4).failures; };
  CHECK(tries() >= 1);
  rig.pass(30s);
  CHECK(tries() >= 8);
  CHECK(tries() <= 12);
  CHECK_FALSE(rig.snapshot().ready());
  CHECK(rig.check("table-ipv4-filter").detail == "lock is busy");
  CHECK(std::ranges::count_if(rig.lines, [](const std::string& line) {
          return line.find("IPv4 filter: lock is busy") != std::string::npos;
        }) == 1);
  rig.kernel.fail_begin.reset();
  rig.pass(31s);
  CHECK(rig.ours(kFilter4));
  CHECK(rig.logged("IPv4 filter: works again"));
}

TEST_CASE("a change by another program ends a long delay after failures that it may have cured") {
  for (const ErrorKind kind : {ErrorKind::kUnavailable, ErrorKind::kDenied}) {
    Rig rig;
    rig.start();
    rig.kernel.fail_begin = Error{kind, "not ours"};
    rig.post(TableChange{});
    rig.pass(60s);
    REQUIRE(rig.status(kFilter4).retry_in == 30s);
    rig.kernel.fail_begin.reset();
    rig.post(TableChange{});
    rig.pass(1s);
    CHECK(rig.status(kFilter4).in_sync);
  }
}

TEST_CASE("no IPv6 in the kernel is not an error unless it is requested") {
  const auto ready_without_v6 = [](Settings settings) {
    Rig rig(std::move(settings));
    for (const TableId id : kTables) {
      if (id.family == Family::kIpv6) rig.kernel.missing.insert(id);
    }
    rig.start();
    rig.kube_syncs();
    return rig.snapshot().ready();
  };
  CHECK(ready_without_v6({}));
  Settings asked;
  asked.ip_family.value = FamilyChoice::kDual;
  CHECK_FALSE(ready_without_v6(asked));
  Settings by_cidr;
  by_cidr.pod_cidr_ipv6.value = Prefix::parse("fd00::/64");
  CHECK_FALSE(ready_without_v6(by_cidr));
}

TEST_CASE("one family only: rules that an earlier run left in the other are removed") {
  const TableId filter6{Family::kIpv6, Table::kFilter};
  Settings settings;
  settings.ip_family.value = FamilyChoice::kIpv4;
  Rig rig(settings);
  rig.kernel.add_chain(filter6, "NMANAGER_INPUT");
  rig.kernel.append(filter6, "INPUT", std::string("-j NMANAGER_INPUT"));
  rig.kernel.append(filter6, "INPUT", std::string("-j ELSE"));
  rig.start();
  CHECK(rig.ours(kFilter4));
  rig.pass(1s);
  CHECK_FALSE(rig.ours(filter6));
  CHECK(rig.kernel.table(filter6).at("INPUT").rules.size() == 1);
  CHECK(rig.logged("IPv6 filter: our chains were removed"));
  CHECK(rig.ours(kFilter4));
}

TEST_CASE("one family only: a sync of kube-proxy in the other leaves nothing to verify") {
  Settings settings;
  settings.ip_family.value = FamilyChoice::kIpv4;
  Rig rig(settings);
  rig.start();
  rig.kube_syncs();
  REQUIRE(why_not_ready(rig.snapshot()) == "");
  const Family other[] = {Family::kIpv6};
  rig.write_kube(other);
  rig.pass(200ms);
  REQUIRE(rig.snapshot().kube.back().resyncs == 1);
  CHECK(why_not_ready(rig.snapshot()) == "");
}

TEST_CASE("an agent that keeps undoing us: repairs are spaced out, reported, and end in place") {
  Rig rig;
  rig.start();
  rig.kube_syncs();
  const auto undo = [&] {
    rig.kernel.insert(kNat4, "PREROUTING", 0, std::string("-j KUBE-SERVICES"));
    rig.post(TableChange{Family::kIpv4, "rival", 1, true});
  };
  for (int i = 0; i < 1000; ++i) {
    undo();
    rig.pass(10ms);
  }
  CHECK(rig.status(kNat4).contested);
  CHECK(rig.status(kNat4).repairs < 60);
  CHECK(rig.status(kNat4).repairs > 20);
  CHECK_FALSE(rig.snapshot().ready());
  CHECK(rig.snapshot().warnings.front().code == WarningCode::kContested);
  CHECK(rig.snapshot().warnings.front().text.find("rival keeps undoing") != std::string::npos);
  rig.pass(60s);
  CHECK_FALSE(rig.status(kNat4).contested);
  CHECK(rig.kernel.table(kNat4).at("PREROUTING").rules[0].jump_target() == "NMANAGER_PREROUTING");
  CHECK(why_not_ready(rig.snapshot()) == "");
}

TEST_CASE("idle: few reads, and large values are released") {
  Rig rig;
  rig.start();
  rig.kube_syncs();
  const int reads = rig.table_reads;
  rig.pass(595s);
  // Two filter tables each 15 s, all four each 300 s.
  CHECK(rig.table_reads - reads <= 2 * 41 + 4 * 3);
  CHECK(rig.trims >= 1);
  rig.kernel.flush(kNat4, "NMANAGER_OUTPUT");
  rig.post(TableChange{});
  CHECK(rig.status(kNat4).repairs == 1);
}

TEST_CASE("a change without an event is found by the periodic read") {
  Rig rig;
  rig.start();
  rig.kernel.flush(kNat4, "PREROUTING");
  rig.pass(kFullLookInterval + 1s);
  CHECK(rig.kernel.table(kNat4).at("PREROUTING").rules.size() == 1);
}

TEST_CASE("drops are counted across rewrites of the rule") {
  Rig rig;
  rig.start();
  const auto drop = [&](int packets) {
    for (int i = 0; i < packets; ++i) {
      rig.kernel.count_packet(kFilter4, "NMANAGER_DROP_INVALID_INPUT", 0);
    }
    rig.pass(kFilterLookInterval);
  };
  const auto dropped = [&] {
    return rig.status(kFilter4).invalid.at(InvalidCounter{Hook::kInput, true, true});
  };
  drop(3);
  CHECK(dropped() == 3);
  drop(2);
  CHECK(dropped() == 5);
  rig.kernel.flush(kFilter4, "NMANAGER_DROP_INVALID_INPUT");
  rig.post(TableChange{});
  rig.pass(kFilterLookInterval);
  drop(1);
  CHECK(dropped() == 6);
}

TEST_CASE("changed settings are applied live") {
  Rig rig;
  rig.start();
  CHECK(rig.kernel.text(kNat4).find("0x4000/0x4000") != std::string::npos);
  Settings settings;
  settings.masquerade_bit.value = 15;
  rig.post(SettingsChanged{settings});
  CHECK(rig.kernel.text(kNat4).find("0x8000/0x8000") != std::string::npos);
}
