// INVALID packets of pods in FORWARD: when they are dropped, and how this is reported.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "hooks/chains/chain_table.h"
#include "plugin/reconciler/drops.h"
#include "test/fake_world/fake_world.h"
#include "test/support/tables.h"

namespace nmanager::test {
namespace {

using namespace std::chrono_literals;

const Prefix kPods = *Prefix::parse("10.244.0.0/16");

Settings settings_of(Switch forward, bool pods = true) {
  Settings settings;
  settings.backend.value = BackendChoice::kNft;
  settings.drop_invalid_forward.value = forward;
  if (pods) settings.pod_cidr_ipv4.value = kPods;
  return settings;
}

class ForwardNode {
 public:
  explicit ForwardNode(const Settings& settings, std::function<void(FakeWorld&)> prepare = {})
      : driver(settings, [&](FakeWorld& world) {
          world.files.config = settings::KubeProxyConfig{};
          if (prepare) prepare(world);
        }) {
    driver.pass(1s);
  }

  void mode(ProxyMode mode) { driver.post(ModeKnown{mode, "test", ""}); }

  [[nodiscard]] std::string rules(TableId id = kFilter4) { return tables.kernel.text(id); }
  /// The effect of the chain's rules on a packet: "drop", "count", or "" without such a rule.
  [[nodiscard]] std::string does(TableId id = kFilter4) {
    const std::string text = rules(id);
    const std::string match =
        "-A NMANAGER_DROP_INVALID_FWD -s 10.244.0.0/16 -m conntrack --ctstate "
        "INVALID -j ";
    const auto jumps = [&](const char* rule) { return text.find(rule) != std::string::npos; };
    if (!jumps("-A FORWARD -j NMANAGER_FORWARD\n")) return "";
    if (text.find(match + "DROP\n") != std::string::npos) return "drop";
    return text.find(match + "RETURN\n") != std::string::npos ? "count" : "";
  }
  [[nodiscard]] TableStatus status(TableId id = kFilter4) const {
    return std::ranges::find(driver.loop->state().tables, id, &reconciler::TableState::id)->status;
  }
  [[nodiscard]] bool warns(const std::string& part) const {
    return std::ranges::any_of(driver.world.last().warnings, [&](const Warning& line) {
      return line.text.find(part) != std::string::npos;
    });
  }
  [[nodiscard]] DropStatus told() const {
    for (const DropStatus& one : driver.world.last().drops) {
      if (one.family == Family::kIpv4 && one.hook == Hook::kForward) return one;
    }
    return {};
  }

  Driver driver;
  FakeTables& tables = driver.world.tables.at(BackendChoice::kNft);
};

/// The rules that an nmanager before this one left behind.
void leave_forward_rules(FakeWorld& world) {
  FakeKernel& kernel = world.tables.at(BackendChoice::kNft).kernel;
  const auto table =
      chains::chain_table(Family::kIpv4, drop_invalid_forward(InvalidAction::kDrop, kPods, {}));
  for (const auto& chain : table.chains) kernel.add_chain(kFilter4, chain.first.str());
  for (const auto& [name, rules] : table.chains) {
    for (const Rule& rule : rules) kernel.append(kFilter4, name.str(), rule);
  }
  Rule jump;
  jump.target = Jump{ChainName("NMANAGER_FORWARD")};
  kernel.append(kFilter4, "FORWARD", jump);
}

struct Row {
  Switch setting;
  std::optional<ProxyMode> mode;
  bool liberal;
  bool pods;
  const char* does;
  const char* state;
};

}  // namespace

TEST_CASE("the FORWARD drop by setting, mode, sysctl and pod CIDR") {
  constexpr std::optional<ProxyMode> kUnknown;
  std::vector<Row> rows;
  for (const auto mode : {kUnknown, std::optional(ProxyMode::kIptables),
                          std::optional(ProxyMode::kIpvs), std::optional(ProxyMode::kNftables)}) {
    for (const bool liberal : {false, true}) {
      for (const bool pods : {false, true}) {
        rows.push_back({Switch::kOff, mode, liberal, pods, "", "off"});
        rows.push_back({Switch::kOn, mode, liberal, pods, pods ? "drop" : "", pods ? "on" : "off"});
        rows.push_back(
            {Switch::kCount, mode, liberal, pods, pods ? "count" : "", pods ? "counting" : "off"});
        const bool on = mode == ProxyMode::kNftables && !liberal && pods;
        const bool open = !mode && !liberal;
        rows.push_back({Switch::kAuto, mode, liberal, pods, on ? "drop" : "",
                        on     ? "on"
                        : open ? "not decided"
                               : "off"});
      }
    }
  }
  for (const Row& row : rows) {
    CAPTURE(static_cast<int>(row.setting));
    CAPTURE(row.mode.has_value());
    CAPTURE(std::string(row.mode ? to_string(*row.mode) : "unknown"));
    CAPTURE(row.liberal);
    CAPTURE(row.pods);
    ForwardNode rig(settings_of(row.setting, row.pods));
    rig.driver.post(ConntrackKnown{row.liberal});
    if (row.mode) rig.mode(*row.mode);
    // The Node has no podCIDR either.
    for (const auto& sink : rig.driver.world.node_sinks) sink(ApiEvent(NodePodCidrs{}));
    rig.driver.pass(0ms);
    CHECK(rig.does() == row.does);
    CHECK(rig.told().state == row.state);
    CHECK_FALSE(rig.told().why.empty());
    CHECK(rig.rules(kFilter6).find("NMANAGER_FORWARD") == std::string::npos);  // no IPv6 pods
    CHECK(rig.rules().find("NMANAGER_INPUT") != std::string::npos);  // independent of FORWARD
  }
}

TEST_CASE("the FORWARD drop follows mode and sysctl, which is not counted as a repair") {
  ForwardNode rig(settings_of(Switch::kAuto));
  rig.mode(ProxyMode::kIptables);
  CHECK(rig.does() == "");
  rig.mode(ProxyMode::kNftables);
  CHECK(rig.does() == "drop");
  rig.driver.post(ConntrackKnown{true});
  CHECK(rig.does() == "");
  CHECK(rig.rules().find("NMANAGER_FORWARD") == std::string::npos);
  rig.driver.post(ConntrackKnown{false});
  CHECK(rig.does() == "drop");
  rig.mode(ProxyMode::kIpvs);
  CHECK(rig.does() == "");
  rig.mode(ProxyMode::kNftables);
  CHECK(rig.does() == "drop");
  CHECK(rig.status().repairs == 0);
  CHECK(rig.status().in_sync);
  rig.tables.kernel.flush(kFilter4, "FORWARD");
  rig.driver.post(TableChange{});
  CHECK(rig.does() == "drop");
  CHECK(rig.status().repairs_by_cause.at(Cause::kJumpMissing) == 1);
}

TEST_CASE("existing rules stay unchanged until kube-proxy's mode is known") {
  for (const auto mode : {ProxyMode::kNftables, ProxyMode::kIptables}) {
    ForwardNode rig(settings_of(Switch::kAuto), leave_forward_rules);
    rig.tables.kernel.count_packet(kFilter4, "NMANAGER_DROP_INVALID_FWD", 1);
    const std::string packet = "[1] -A NMANAGER_DROP_INVALID_FWD -s 10.244.0.0/16 -p tcp";
    rig.driver.post(TableChange{});
    rig.driver.pass(20s);
    CHECK(rig.does() == "drop");
    CHECK(rig.rules().find(packet) != std::string::npos);
    CHECK(rig.rules().find("-A INPUT -j NMANAGER_INPUT") != std::string::npos);
    rig.mode(mode);
    const bool stays = mode == ProxyMode::kNftables;
    CHECK(rig.does() == (stays ? "drop" : ""));
    CHECK((rig.rules().find(packet) != std::string::npos) == stays);
    CHECK((rig.rules().find("NMANAGER_FORWARD") != std::string::npos) == stays);
  }
}

TEST_CASE("a missing rule of kube-proxy in KUBE-FORWARD is reported; `true` adds ours") {
  for (const auto setting : {Switch::kAuto, Switch::kOn}) {
    ForwardNode rig(settings_of(setting), [](FakeWorld& world) {
      FakeKernel& kernel = world.tables.at(BackendChoice::kNft).kernel;
      kernel.add_chain(kFilter4, "KUBE-FORWARD");
      kernel.append(kFilter4, "KUBE-FORWARD",
                    std::string("-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"));
    });
    rig.mode(ProxyMode::kIptables);
    CHECK(rig.warns("missing from KUBE-FORWARD") == (setting == Switch::kAuto));
    CHECK(rig.does() == (setting == Switch::kOn ? "drop" : ""));
    rig.tables.kernel.insert(kFilter4, "KUBE-FORWARD", 0,
                             std::string("-m conntrack --ctstate INVALID -m nfacct --nfacct-name "
                                         "ct_state_invalid_dropped_pkts -j DROP"));
    rig.driver.post(TableChange{});
    CHECK_FALSE(rig.warns("missing from KUBE-FORWARD"));
  }
}

TEST_CASE("without a pod CIDR the FORWARD drop is off, reported where it matters") {
  for (const auto mode : {ProxyMode::kIptables, ProxyMode::kIpvs, ProxyMode::kNftables}) {
    ForwardNode rig(settings_of(Switch::kAuto, false));
    rig.mode(mode);
    CHECK_FALSE(rig.warns("PROBLEM 3 IS NOT CURED"));
    for (const auto& sink : rig.driver.world.node_sinks) sink(ApiEvent(NodePodCidrs{}));
    rig.driver.pass(0ms);
    CHECK(rig.warns("PROBLEM 3 IS NOT CURED") == (mode == ProxyMode::kNftables));
  }
}

TEST_CASE("without a pod CIDR this node's podCIDR is used; only then the Node is requested") {
  ForwardNode rig(settings_of(Switch::kAuto, false),
                  [](FakeWorld& world) { leave_forward_rules(world); });
  CHECK(rig.driver.world.node_clients == 0);
  rig.mode(ProxyMode::kNftables);
  REQUIRE(rig.driver.world.node_sinks.size() == 1);
  CHECK(rig.told().state == "not decided");
  CHECK(rig.does() == "drop");  // as it was left behind
  CHECK_FALSE(rig.warns("no pod CIDR is known"));
  const auto answer = [&](std::vector<Prefix> cidrs) {
    rig.driver.world.node_sinks.back()(ApiEvent(NodePodCidrs{std::move(cidrs)}));
    rig.driver.pass(0ms);
  };
  answer({});
  CHECK(rig.told().state == "off");
  CHECK(rig.does() == "");
  CHECK(rig.warns("no pod CIDR is known"));
  answer({*Prefix::parse("10.244.3.0/24")});
  CHECK(rig.told().state == "on");
  CHECK(rig.rules().find("-s 10.244.3.0/24 -m conntrack --ctstate INVALID -j DROP") !=
        std::string::npos);
  CHECK(rig.driver.world.clients == 0);
  rig.mode(ProxyMode::kIptables);
  CHECK(rig.driver.world.node_clients == 0);
}

TEST_CASE("each request shows current counters") {
  ForwardNode rig(settings_of(Switch::kOff));
  rig.driver.pass(16s);
  rig.tables.kernel.count_packet(kFilter4, "NMANAGER_DROP_INVALID_INPUT", 0);
  rig.driver.post(Tick{});
  CHECK(rig.status().invalid[{Hook::kInput, true, true}] == 0);
  const std::uint64_t before = rig.driver.world.last().answers;
  rig.driver.world.counters_asked += 2;
  // A snapshot published while the tables are read answers no request.
  rig.tables.during_sync = [&] { CHECK(rig.driver.world.last().answers == before); };
  rig.driver.post(Tick{});
  CHECK(rig.status().invalid.at({Hook::kInput, true, true}) == 1);
  CHECK(rig.driver.world.last().answers == rig.driver.world.counters_asked);
}

TEST_CASE("packets are reported by hook, action and kind") {
  Settings settings = settings_of(Switch::kCount);
  settings.drop_invalid_input.value = Switch::kOn;
  ForwardNode rig(settings);
  const auto packets = [&](const char* chain, std::size_t rule, int count) {
    for (int i = 0; i < count; ++i) rig.tables.kernel.count_packet(kFilter4, chain, rule);
  };
  packets("NMANAGER_DROP_INVALID_INPUT", 0, 5);
  packets("NMANAGER_DROP_INVALID_FWD", 0, 3);  // SYN-ACK: an exemption
  packets("NMANAGER_DROP_INVALID_FWD", 1, 2);
  packets("NMANAGER_DROP_INVALID_FWD", 2, 1);
  rig.driver.pass(16s);
  const InvalidCounts expected{{{Hook::kInput, true, true}, 5},
                               {{Hook::kForward, false, true}, 2},
                               {{Hook::kForward, false, false}, 1}};
  CHECK(rig.status().invalid == expected);
}

}  // namespace nmanager::test
