// The loop in a fake world: what it waits for, what it does not wait for, and its reports during
// the wait.
#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include "plugin/reconciler/outcome.h"
#include "plugin/reconciler/publish.h"
#include "test/fake_world/fake_world.h"
#include "test/support/tables.h"

using namespace nmanager;
using namespace std::chrono_literals;
using test::Driver;
using test::FakeKernel;
using test::FakeTables;
using test::FakeWorld;
using test::kFilter4;
using test::kNat4;

namespace {

Service service(const char* ip) {
  Service result;
  result.key = "default/a";
  result.type = ServiceType::kLoadBalancer;
  result.external_policy_local = true;
  result.cluster_ips = {*Address::parse("10.96.0.1")};
  result.ingress = {{*Address::parse(ip), true}};
  result.ports = {{Protocol::kTcp, 80}};
  return result;
}

Settings on_nft() {
  Settings settings;
  settings.pod_cidr_ipv4.value = Prefix::parse("10.244.0.0/16");
  settings.backend.value = BackendChoice::kNft;
  return settings;
}

/// A node whose rules are in place, with kube-proxy in IPVS mode.
class StandingNode {
 public:
  StandingNode()
      : driver(on_nft(), [](FakeWorld& world) {
          world.files.config = settings::KubeProxyConfig{};
          world.kernel_evidence.ipvs_device = true;
          for (const Family family : kFamilies) {
            FakeKernel& nft = world.tables.at(BackendChoice::kNft).kernel;
            const TableId nat{family, Table::kNat};
            nft.add_chain(nat, "KUBE-SERVICES");
            nft.add_chain(nat, "KUBE-MARK-MASQ");
            nft.append(nat, "KUBE-MARK-MASQ", std::string("-j MARK --set-xmark 0x4000/0x4000"));
            nft.append(nat, "KUBE-SERVICES", std::string("-m comment --comment some"));
            for (const char* hook : {"PREROUTING", "OUTPUT"}) {
              nft.append(nat, hook, std::string("-j KUBE-SERVICES"));
            }
          }
        }) {
    driver.post(ModeKnown{ProxyMode::kIpvs, "test", ""});
    driver.post(ApiEvent(ServicesListed{{service("20.0.0.1")}, "1"}));
    driver.pass(1s);
    REQUIRE(why_not_ready() == "");
  }

  void somebody_changes() { driver.post(TableChange{std::nullopt, "iptables", 4711, true}); }
  void flush_all(TableId id) {
    std::vector<std::string> names;
    for (const auto& chain : kernel.table(id)) names.push_back(chain.first);
    for (const std::string& name : names) kernel.flush(id, name);
  }
  void delete_own(TableId id) {
    std::vector<std::string> names;
    for (const auto& chain : kernel.table(id)) {
      if (chain.first.starts_with("NMANAGER_")) names.push_back(chain.first);
    }
    for (const std::string& name : names) kernel.delete_chain(id, name);
  }
  [[nodiscard]] bool has(TableId id, const std::string& text) const {
    return kernel.text(id).find(text) != std::string::npos;
  }
  [[nodiscard]] Snapshot snapshot() const {
    return make_snapshot(driver.loop->state(), driver.world.now());
  }
  [[nodiscard]] std::string why_not_ready() const {
    std::string text;
    for (const Check& one : snapshot().checks) {
      if (!one.ok && !one.informational) text += one.name + ": " + one.detail + '\n';
    }
    return text;
  }

  Driver driver;
  FakeTables& tables = driver.world.tables.at(BackendChoice::kNft);
  FakeKernel& kernel = tables.kernel;
};

}  // namespace

TEST_CASE("a table that is flushed as a whole is repaired after a delay") {
  for (const TableId id : {kNat4, kFilter4}) {
    CAPTURE(to_string(id));
    StandingNode rig;
    rig.flush_all(id);
    rig.somebody_changes();
    CHECK_FALSE(rig.has(id, "-j NMANAGER_"));
    CHECK(rig.why_not_ready().find("the whole table was flushed") != std::string::npos);
    rig.driver.pass(reconciler::kFlushWindow - 1ms);
    CHECK_FALSE(rig.has(id, "-j NMANAGER_"));
    rig.delete_own(id);  // `-X`, which finds no chain in use
    rig.somebody_changes();
    CHECK_FALSE(rig.has(id, "NMANAGER_"));
    rig.driver.pass(1ms);
    CHECK(rig.has(id, "-j NMANAGER_"));
    CHECK(rig.why_not_ready() == "");
    // Again: another delay.
    rig.flush_all(id);
    rig.somebody_changes();
    CHECK_FALSE(rig.has(id, "-j NMANAGER_"));
    rig.driver.pass(reconciler::kFlushWindow);
    CHECK(rig.has(id, "-j NMANAGER_"));
  }
}

TEST_CASE("the time of a change of kube-proxy's chains is reported only if it was observed") {
  StandingNode rig;
  const auto detail = [&] {
    for (const Check& one : rig.snapshot().checks) {
      if (one.name == "kube-proxy-synced") return one.detail;
    }
    return std::string();
  };
  CHECK(detail() == "IPv4 unchanged since nmanager started; IPv6 unchanged since nmanager started");
  rig.kernel.append(kNat4, "KUBE-SERVICES", std::string("-m comment --comment more"));
  rig.kernel.flush(kNat4, "KUBE-MARK-MASQ");
  rig.somebody_changes();
  rig.driver.pass(200ms);
  CHECK(detail().starts_with("IPv4 changed 0 s ago, verified "));
}

TEST_CASE("anything less than the whole table is repaired at once") {
  StandingNode rig;
  rig.kernel.flush(kNat4, "NMANAGER_OUTPUT");
  rig.kernel.flush(kNat4, "PREROUTING");
  rig.somebody_changes();
  CHECK(rig.why_not_ready() == "");
  CHECK(rig.has(kNat4, "-A PREROUTING -j NMANAGER_PREROUTING"));
}

TEST_CASE("our own changes do not wait for an agent that undoes other rules") {
  StandingNode rig;
  for (int i = 0; i < 30; ++i) {
    rig.kernel.flush(kNat4, "NMANAGER_OUTPUT");
    rig.somebody_changes();
  }
  rig.kernel.flush(kNat4, "NMANAGER_OUTPUT");
  rig.somebody_changes();
  CHECK(rig.kernel.table(kNat4).at("NMANAGER_OUTPUT").rules.empty());  // delayed
  CHECK_FALSE(rig.snapshot().ready());
  rig.driver.post(ApiEvent(ServiceChanged{service("20.0.0.2")}));
  CHECK(rig.has(kNat4, "20.0.0.2"));
  CHECK_FALSE(rig.has(kNat4, "20.0.0.1"));
  // Only the repair of the agent's change still waits.
  rig.kernel.flush(kNat4, "NMANAGER_OUTPUT");
  rig.somebody_changes();
  CHECK(rig.kernel.table(kNat4).at("NMANAGER_OUTPUT").rules.empty());
}

TEST_CASE(
    "removed chains of kube-proxy are reported at once, regardless of earlier flushes and read "
    "times") {
  StandingNode rig;
  rig.tables.checksum_takes = 1s;  // a content is read every 100 s
  for (const Family family : kFamilies) {
    const TableId nat{family, Table::kNat};
    rig.kernel.flush(nat, "KUBE-MARK-MASQ");
    rig.kernel.flush(nat, "KUBE-SERVICES");
  }
  rig.somebody_changes();
  CHECK(rig.why_not_ready() == "");
  for (const Family family : kFamilies) {
    const TableId nat{family, Table::kNat};
    rig.kernel.delete_chain(nat, "KUBE-MARK-MASQ");
    rig.kernel.delete_chain(nat, "KUBE-SERVICES");
  }
  rig.somebody_changes();
  CHECK(rig.why_not_ready().find("kube-proxy-synced: no KUBE-SERVICES") != std::string::npos);
  CHECK(rig.driver.world.logged("chains are gone"));
}

TEST_CASE("chains that kube-proxy has just created are not a sync until they have a rule") {
  StandingNode rig;
  for (const Family family : kFamilies) {
    rig.kernel.delete_chain({family, Table::kNat}, "KUBE-SERVICES");
    rig.kernel.delete_chain({family, Table::kNat}, "KUBE-MARK-MASQ");
  }
  rig.somebody_changes();
  CHECK_FALSE(rig.snapshot().ready());
  for (const Family family : kFamilies)
    rig.kernel.add_chain({family, Table::kNat}, "KUBE-SERVICES");
  rig.somebody_changes();
  rig.driver.pass(200ms);
  CHECK(rig.why_not_ready().find("kube-proxy writes its chains") != std::string::npos);
  for (const Family family : kFamilies) {
    const TableId nat{family, Table::kNat};
    rig.kernel.append(nat, "KUBE-SERVICES", std::string("-m comment --comment some"));
    rig.kernel.add_chain(nat, "KUBE-MARK-MASQ");
  }
  rig.somebody_changes();
  rig.driver.pass(200ms);
  CHECK(rig.why_not_ready() == "");
}

TEST_CASE("ready after the first sync of a started kube-proxy, if its metrics show it") {
  StandingNode rig;
  ProxySync sync{true, true, {}, ""};
  rig.driver.post(sync);
  CHECK(rig.why_not_ready().find("has not synced since it started") != std::string::npos);
  sync.last_sync[0] = rig.driver.world.now().wall;
  rig.driver.post(sync);
  CHECK(rig.why_not_ready() == "");
  rig.driver.post(ProxySync{false, false, {}, "refused"});
  CHECK(rig.why_not_ready() == "");
  rig.driver.post(ProxySync{true, false, {}, "no metrics"});
  CHECK(rig.why_not_ready() == "");
}

TEST_CASE("a mode in doubt: not ready while there are rules of IPVS mode") {
  StandingNode rig;
  rig.driver.post(ModeKnown{ProxyMode::kIpvs, "before", "could not be told", true});
  CHECK(rig.why_not_ready().starts_with("proxy-mode: "));
  rig.driver.post(ModeKnown{ProxyMode::kIptables, "test", ""});
  CHECK(rig.why_not_ready() == "");
  rig.driver.post(ModeKnown{ProxyMode::kIptables, "before", "could not be told", true});
  CHECK(rig.why_not_ready() == "");
}

TEST_CASE("one wait for a lock per turn") {
  StandingNode rig;
  int waits = 0;
  rig.kernel.fail_begin = Error{ErrorKind::kRetry, "the lock is held"};
  rig.tables.during_sync = [&] {
    ++waits;
    rig.driver.world.elapsed += 5s;
  };
  for (int turn = 0; turn < 40; ++turn) {
    if (turn % 3 == 0) rig.driver.mailbox.post(TableChange{Family::kIpv4, "", 0, false});
    if (turn % 3 == 1) rig.driver.mailbox.post(ApiEvent(ServiceChanged{service("20.0.0.3")}));
    waits = 0;
    rig.driver.loop->turn();
    CHECK(waits <= 1);
    CHECK_FALSE(rig.snapshot().ready());
  }
}

TEST_CASE("one large table per turn, whatever is due") {
  StandingNode rig;
  Service other = service("2001:db8::1");
  other.key = "default/b";
  other.cluster_ips = {*Address::parse("fd00::1")};
  rig.driver.post(ApiEvent(ServiceChanged{other}));
  rig.driver.pass(1s);
  const TableId nat6{Family::kIpv6, Table::kNat};
  rig.kernel.large = {kNat4, nat6};
  const int commits = rig.kernel.commits();
  SUBCASE("at the same time") {
    for (const TableId id : {kNat4, nat6}) rig.kernel.flush(id, "OUTPUT");
    rig.driver.mailbox.post(TableChange{std::nullopt, "", 0, true});
  }
  SUBCASE("while the first one is written") {
    rig.flush_all(kNat4);
    rig.somebody_changes();
    rig.driver.world.elapsed += 500ms;
    rig.flush_all(nat6);
    rig.somebody_changes();
    rig.driver.world.elapsed += 500ms;
    rig.kernel.before_commit = [&] { rig.driver.world.elapsed += 2s; };
  }
  rig.driver.loop->turn();
  CHECK(rig.kernel.commits() == commits + 1);
  CHECK_FALSE(rig.snapshot().ready());
  CHECK(rig.driver.loop->next_turn() <= rig.driver.world.now().mono);
  rig.driver.loop->turn();
  CHECK(rig.kernel.commits() == commits + 2);
  CHECK(rig.why_not_ready() == "");
}

TEST_CASE("large tables that cannot be read are told in one turn, and wait together") {
  StandingNode rig;
  rig.kernel.large = {kNat4, TableId{Family::kIpv6, Table::kNat}};
  rig.kernel.fail_begin = Error{ErrorKind::kRetry, "the lock is held"};
  rig.driver.mailbox.post(TableChange{std::nullopt, "", 0, true});
  rig.driver.loop->turn();
  for (const reconciler::TableState& table : rig.driver.loop->state().tables) {
    CHECK(table.status.error.has_value());
  }
  CHECK(rig.driver.loop->next_turn() > rig.driver.world.now().mono);
}
