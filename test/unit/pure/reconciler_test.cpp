#include <doctest/doctest.h>

#include <algorithm>
#include <utility>

#include "plugin/reconciler/publish.h"
#include "plugin/reconciler/step.h"
#include "test/fake_kernel/fake_kernel.h"

using namespace nmanager;
using namespace nmanager::chains;
using namespace nmanager::conntrack;
using namespace nmanager::reconciler;
using namespace nmanager::services;
using namespace std::chrono_literals;
using test::FakeKernel;
using test::Semantics;

namespace {

constexpr TableId kNat4{Family::kIpv4, Table::kNat};
constexpr TableId kFilter4{Family::kIpv4, Table::kFilter};

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

ApiState api(ApiState::Phase phase, const char* error = "") {
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

/// The loop of the program with a fake kernel and a clock that only moves when told.
class Rig {
 public:
  explicit Rig(Settings settings = with_pods()) : state(initial_state(std::move(settings), now())) {
    for (const TableId id : kTables) {
      if (id.table == Table::kNat) kernel.add_chain(id, "UNUSED");
    }
  }

  [[nodiscard]] Now now() const {
    return {std::chrono::steady_clock::time_point(1000h) + elapsed, WallTime(1000h) + elapsed};
  }

  void post(Event event) {
    std::vector<Event> events;
    events.push_back(std::move(event));
    post(std::move(events));
  }

  void post(std::vector<Event> events) {
    while (!events.empty()) {
      auto actions = step(state, std::exchange(events, {}), now());
      for (Action& action : actions) run(std::move(action), events);
    }
  }

  /// Lets time pass, waking up when the state machine asks for it.
  void pass(std::chrono::milliseconds time) {
    const auto end = elapsed + time;
    int wakes = 0;
    while (true) {
      const auto wake = wake_at(state, now().mono) - now().mono;
      if (elapsed + wake > end) break;
      REQUIRE_MESSAGE(++wakes < 100000, "busy loop");
      elapsed += std::chrono::duration_cast<std::chrono::milliseconds>(wake);
      post(Tick{});
    }
    elapsed = end;
    post(Tick{});
  }

  void start() {
    post(BackendKnown{"fake", ""});
    post(ModeKnown{ProxyMode::kIpvs, "test", ""});
    post(ApiEvent(ServicesListed{{service("a", "20.0.0.1")}, "1"}));
  }

  /// kube-proxy writes its chains; a while later their content has been read for certain.
  void kube_syncs() {
    write_kube();
    pass(200ms);
  }

  void write_kube() {
    for (const Family family : kFamilies) {
      const TableId nat{family, Table::kNat};
      kernel.add_chain(nat, "KUBE-SERVICES");
      kernel.add_chain(nat, "KUBE-MARK-MASQ");
      kernel.flush(nat, "KUBE-MARK-MASQ");
      kernel.append(nat, "KUBE-MARK-MASQ", std::string("-j MARK --set-xmark 0x4000/0x4000"));
      kernel.append(nat, "KUBE-SERVICES", "-m comment --comment " + std::to_string(++syncs));
    }
    post(TableChange{});
  }

  [[nodiscard]] Snapshot snapshot() const { return make_snapshot(state, now()); }
  [[nodiscard]] const TableStatus& status(TableId id) const {
    return std::ranges::find(state.tables, id, &TableState::id)->status;
  }
  [[nodiscard]] bool logged(const std::string& part) const {
    return std::ranges::any_of(
        lines, [&](const std::string& line) { return line.find(part) != std::string::npos; });
  }
  [[nodiscard]] bool ours(TableId id) const {
    return kernel.text(id).find("NMANAGER_") != std::string::npos;
  }
  [[nodiscard]] Check check(const std::string& name) const {
    for (const Check& one : snapshot().checks) {
      if (one.name == name) return one;
    }
    return {};
  }

  FakeKernel kernel{Semantics::kNft};
  std::chrono::milliseconds elapsed{0};
  State state;
  std::vector<std::string> lines;
  int table_reads = 0;
  int trims = 0;
  int asked = 0;
  int syncs = 0;

 private:
  void run(Action action, std::vector<Event>& events) {
    if (auto* sync = std::get_if<SyncTables>(&action)) {
      auto reports = kernel.sync(sync->goals, {});
      for (std::size_t i = 0; i < reports.size(); ++i) {
        ++table_reads;
        events.push_back(TableSynced{sync->goals[i].id, std::move(reports[i])});
      }
    } else if (auto* look = std::get_if<LookAtKube>(&action)) {
      KubeLooked looked;
      looked.family = look->family;
      looked.stamp = kernel.kube_stamp(look->family);
      const bool moved = look->known_stamp != *looked.stamp;
      if (moved && look->may_read_content) {
        looked.checksum = *kernel.kube_checksum(look->family);
        looked.checksum_cost = 1ms;
      }
      events.push_back(looked);
    } else if (auto* line = std::get_if<LogLine>(&action)) {
      lines.push_back(line->text);
    } else if (std::holds_alternative<TrimMemory>(action)) {
      ++trims;
    } else if (std::holds_alternative<AskKubeProxy>(action)) {
      ++asked;
    }
  }
};

}  // namespace

TEST_CASE("nothing is written before a backend is known, nat not before mode and list are") {
  Rig rig;
  rig.pass(1h);
  CHECK(rig.kernel.commits() == 0);
  rig.post(BackendKnown{"fake", ""});
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
  rig.post(ApiEvent(ServiceChanged{service("a", "20.0.0.1")}));
  CHECK(rig.kernel.commits() == commits);
  rig.post(ApiEvent(ServiceChanged{service("a", "20.0.0.2")}));
  CHECK(rig.kernel.text(kNat4).find("20.0.0.1/32") == std::string::npos);
  CHECK(rig.kernel.text(kNat4).find("20.0.0.2/32") != std::string::npos);
  rig.post(ApiEvent(ServiceDeleted{"default/a"}));
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

TEST_CASE("a list drops what is not in it, but not what could not be decoded") {
  Rig rig;
  rig.start();
  rig.post(ApiEvent(ServiceChanged{service("b", "20.0.0.2")}));
  rig.post(ApiEvent(api(ApiState::Phase::kListing)));
  rig.post(ApiEvent(ServiceUndecodable{"default/a", "metadata is a number"}));
  rig.post(ApiEvent(ServicesListed{{}, "2"}));
  CHECK(rig.kernel.text(kNat4).find("20.0.0.1/32") != std::string::npos);
  CHECK(rig.kernel.text(kNat4).find("20.0.0.2/32") == std::string::npos);
  CHECK(rig.snapshot().undecodable == 1);
  CHECK(rig.logged("default/a is skipped"));
  rig.post(ApiEvent(api(ApiState::Phase::kWatching)));
  rig.post(ApiEvent(api(ApiState::Phase::kListing)));
  rig.post(ApiEvent(ServicesListed{{}, "3"}));
  CHECK(rig.kernel.text(kNat4).find("20.0.0.1/32") == std::string::npos);
}

TEST_CASE("the mode decides about the external-cluster rules, and only about them") {
  Rig rig;
  rig.start();
  for (const auto mode : {ProxyMode::kIptables, ProxyMode::kNftables}) {
    rig.post(ModeKnown{mode, "test", ""});
    CHECK_FALSE(rig.ours(kNat4));
    CHECK(rig.ours(kFilter4));
    rig.post(ModeKnown{std::nullopt, "", "connection refused"});
    CHECK_FALSE(rig.ours(kNat4));
    rig.post(ModeKnown{ProxyMode::kIpvs, "test", ""});
    CHECK(rig.ours(kNat4));
  }
  rig.post(ModeKnown{std::nullopt, "", "connection refused"});
  CHECK(rig.ours(kNat4));
  CHECK_FALSE(rig.check("proxy-mode").ok);
  CHECK(rig.check("proxy-mode").detail.find("connection refused") != std::string::npos);
}

TEST_CASE("asked for outside IPVS mode: refused, loudly") {
  Settings settings;
  settings.external_cluster.value = Switch::kOn;
  Rig rig(settings);
  rig.post(BackendKnown{"fake", ""});
  rig.post(ModeKnown{ProxyMode::kIptables, "test", ""});
  rig.post(ApiEvent(ServicesListed{{service("a", "20.0.0.1")}, "1"}));
  CHECK_FALSE(rig.ours(kNat4));
  const auto warnings = rig.snapshot().warnings;
  CHECK(std::ranges::any_of(warnings, [](const std::string& line) {
    return line.find("is not obeyed") != std::string::npos;
  }));
}

TEST_CASE("switches of the INVALID rule") {
  for (const auto choice : {Switch::kOn, Switch::kOff, Switch::kAuto}) {
    for (const bool liberal : {false, true}) {
      Settings settings;
      settings.drop_invalid.value = choice;
      Rig rig(settings);
      rig.post(ConntrackKnown{liberal});
      rig.start();
      CHECK(rig.ours(kFilter4) == (choice == Switch::kOn || (choice == Switch::kAuto && !liberal)));
      rig.post(ConntrackKnown{!liberal});
      CHECK(rig.ours(kFilter4) == (choice == Switch::kOn || (choice == Switch::kAuto && liberal)));
    }
  }
}

TEST_CASE("a displaced jump is repaired at once, counted and told with its culprit") {
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
  rig.post(BackendKnown{"fake", ""});
  rig.post(ModeKnown{ProxyMode::kIpvs, "test", ""});
  CHECK_FALSE(rig.snapshot().ready());
  CHECK_FALSE(rig.check("services-listed").ok);
  rig.post(ApiEvent(ServicesListed{{}, "1"}));
  CHECK(rig.check("services-listed").ok);
  CHECK_FALSE(rig.snapshot().ready());
  CHECK(rig.check("kube-proxy-synced").detail.find("has not synced") != std::string::npos);
  rig.kube_syncs();
  CHECK(why_not_ready(rig.snapshot()) == "");
  // The API away does not unready a node whose rules stand.
  rig.post(ApiEvent(api(ApiState::Phase::kBackingOff, "refused")));
  CHECK(why_not_ready(rig.snapshot()) == "");
  CHECK_FALSE(rig.check("api-server").ok);
  CHECK(rig.logged("refused"));
}

TEST_CASE("a kube-proxy sync is seen, counted, and ours verified after it") {
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

TEST_CASE("the content checksum rests 100 times its own cost, and is not forgotten") {
  Rig rig;
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

TEST_CASE("a failure is told once, retried ever more slowly, and does not stop the rest") {
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

TEST_CASE("no IPv6 in the kernel is no error unless it is asked for") {
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

TEST_CASE("one family only: the other is never looked at") {
  Settings settings;
  settings.ip_family.value = FamilyChoice::kIpv4;
  Rig rig(settings);
  rig.start();
  CHECK_FALSE(rig.ours({Family::kIpv6, Table::kFilter}));
  CHECK(rig.ours(kFilter4));
}

TEST_CASE("an agent that keeps undoing us: repairs are spaced out, told, and end in place") {
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
  CHECK(rig.snapshot().warnings.front().find("rival keeps undoing") != std::string::npos);
  rig.pass(60s);
  CHECK_FALSE(rig.status(kNat4).contested);
  CHECK(rig.kernel.table(kNat4).at("PREROUTING").rules[0].jump_target() == "NMANAGER_PREROUTING");
  CHECK(why_not_ready(rig.snapshot()) == "");
}

TEST_CASE("idle: few looks, and large values are given back") {
  Rig rig;
  rig.start();
  rig.kube_syncs();
  const int reads = rig.table_reads;
  rig.pass(595s);
  // Two filter tables each 15 s, all four each 300 s.
  CHECK(rig.table_reads - reads <= 2 * 41 + 4 * 3);
  CHECK(rig.trims >= 1);
  CHECK(std::ranges::none_of(rig.state.tables, [](const TableState& table) {
    return table.id.table == Table::kNat && table.spec;
  }));
  rig.kernel.flush(kNat4, "NMANAGER_OUTPUT");
  rig.post(TableChange{});
  CHECK(rig.status(kNat4).repairs == 1);
}

TEST_CASE("a damage nobody told of is found by the safety net") {
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
  drop(3);
  CHECK(rig.status(kFilter4).invalid_drops == 3);
  drop(2);
  CHECK(rig.status(kFilter4).invalid_drops == 5);
  rig.kernel.flush(kFilter4, "NMANAGER_DROP_INVALID_INPUT");
  rig.post(TableChange{});
  rig.pass(kFilterLookInterval);
  drop(1);
  CHECK(rig.status(kFilter4).invalid_drops == 6);
}

TEST_CASE("another backend: everything is looked at anew") {
  Rig rig;
  rig.start();
  rig.kube_syncs();
  REQUIRE(why_not_ready(rig.snapshot()) == "");
  rig.kernel = FakeKernel(Semantics::kLegacy);
  rig.post(BackendKnown{"other", ""});
  CHECK(rig.ours(kFilter4));
  CHECK(rig.ours(kNat4));
  CHECK_FALSE(rig.snapshot().ready());  // kube-proxy has no chains there yet
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
