// kube-proxy's own report compared with observed changes.
#include "plugin/reconciler/proxy_sync.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "plugin/reconciler/publish.h"
#include "plugin/reconciler/step.h"

namespace nmanager::test {
using namespace nmanager::reconciler;
using namespace nmanager::services;
namespace {

using namespace std::chrono_literals;

/// A sequence of observations of one family; times are milliseconds since the start.
class Story {
 public:
  Story() {
    for (TableState& table : state.tables) table.want = Want::kRules;
    for (KubeState& kube : state.kube) kube.status.present = true;
    state.mode.mode = ProxyMode::kIptables;
  }

  [[nodiscard]] static WallTime at(int ms) {
    return WallTime(1000h) + std::chrono::milliseconds(ms);
  }
  void change(int ms) {
    note_change(state, std::nullopt, at(ms));
    for (TableState& table : state.tables) table.status.in_sync = false;
  }
  void verify(int ms) {
    for (TableState& table : state.tables) {
      table.status.in_sync = true;
      table.verified_at = TimePoint(1000h) + std::chrono::milliseconds(ms);
      table.due = false;
    }
    settle_changes(state, at(ms));
  }
  void told(std::optional<int> ms) {
    ProxySync sync;
    sync.reachable = sync.metrics_read = true;
    if (ms) sync.last_sync = {at(*ms), at(*ms)};
    take_proxy_sync(state, std::move(sync));
  }
  /// Milliseconds from the reported sync to its verification; -1: not verified yet.
  [[nodiscard]] int lag() const {
    const auto& verified = state.kube.front().status.told_verified;
    if (!verified) return -1;
    return static_cast<int>(
        std::chrono::duration_cast<std::chrono::milliseconds>(*verified).count());
  }
  [[nodiscard]] bool looks_again() const {
    return std::ranges::all_of(state.tables, &TableState::due);
  }
  [[nodiscard]] Check check() const {
    const auto checks = make_snapshot(state, {TimePoint(1000h), at(60'000)}).checks;
    return *std::ranges::find(checks, "kube-proxy", &Check::name);
  }

  State state = initial_state(Settings{}, {TimePoint(1000h), WallTime(1000h)});
};

}  // namespace

TEST_CASE("a sync is verified with its last change, however late kube-proxy reports it") {
  Story story;
  story.change(100);
  story.verify(103);
  story.told(105);  // it reports after it has written its rules
  CHECK(story.lag() == 0);
  CHECK_FALSE(story.looks_again());

  story.change(200);  // its first write
  story.verify(203);
  story.change(204);  // its last one
  story.verify(212);
  story.change(900);  // another process, before kube-proxy was queried
  story.verify(990);
  story.told(205);
  CHECK(story.lag() == 7);
  CHECK(story.check().ok);
  CHECK(story.check().detail.find("was verified 7 ms later") != std::string::npos);

  // Reported before it is verified.
  story.change(1500);
  story.told(1501);
  CHECK(story.lag() == -1);
  CHECK(story.check().detail.find("is not verified yet") != std::string::npos);
  story.verify(1520);
  CHECK(story.lag() == 19);
  story.told(1501);  // the same report again
  CHECK(story.lag() == 19);
}

TEST_CASE("a sync without an observed change is verified by the next check") {
  Story story;
  story.change(100);
  story.verify(103);
  story.told(105);
  story.told(30'000);
  CHECK(story.lag() == -1);
  CHECK(story.looks_again());
  story.verify(30'400);
  CHECK(story.lag() == 400);
}

TEST_CASE("the delay of a verification is reported only for a sync since our start") {
  Story story;
  story.told(-3'600'000);
  CHECK(story.looks_again());
  CHECK(story.check().detail.find("is not verified yet") != std::string::npos);
  story.verify(40);
  CHECK(story.lag() == -1);
  CHECK(story.check().detail.find("was before nmanager started, verified since") !=
        std::string::npos);
  CHECK(story.check().detail.find("later") == std::string::npos);
  story.change(100);
  story.verify(103);
  story.told(101);
  CHECK(story.lag() == 2);
}

TEST_CASE("each family by its own series") {
  Story story;
  story.change(100);
  story.verify(103);
  ProxySync sync{true, true, {std::nullopt, Story::at(101)}, "", {3.0, 0.0}};
  take_proxy_sync(story.state, sync);
  CHECK(story.lag() == -1);
  CHECK(proxy_health(story.state) == ProxyHealth::kSyncFails);
  Check check = story.check();
  CHECK_FALSE(check.ok);
  CHECK(check.detail == "IPv4 its iptables-restore has failed 3 times since it started");

  sync.last_sync[0] = Story::at(200);  // a success, with the old failures still counted
  take_proxy_sync(story.state, sync);
  CHECK(proxy_health(story.state) == ProxyHealth::kSynced);
  sync.restore_failures[0] = 5.0;
  take_proxy_sync(story.state, sync);
  CHECK(story.check().detail == "IPv4 its iptables-restore has failed 2 times since its last sync");
  sync.restore_failures[0] = 0.0;  // another process
  take_proxy_sync(story.state, sync);
  CHECK(proxy_health(story.state) == ProxyHealth::kSynced);

  sync.last_sync[0].reset();
  take_proxy_sync(story.state, sync);
  check = story.check();
  CHECK(check.ok);  // on an IPv4 node kube-proxy creates IPv6 chains, but reports no sync
  CHECK(
      check.detail.starts_with("IPv4 no sync is reported since kube-proxy started; IPv6 its sync"));
}

TEST_CASE("partial states are reported only if they last") {
  Story story;
  story.told(5);
  const auto at = [](int seconds) { return TimePoint(1000h) + std::chrono::seconds(seconds); };
  for (KubeState& kube : story.state.kube) kube.jumps = false;
  note_lasting(story.state, at(0));
  CHECK(proxy_health(story.state) == ProxyHealth::kSynced);
  note_lasting(story.state, at(9));
  CHECK(proxy_health(story.state) == ProxyHealth::kSynced);
  note_lasting(story.state, at(10));
  CHECK(proxy_health(story.state) == ProxyHealth::kJumpsGone);
  for (KubeState& kube : story.state.kube) kube.jumps = true;
  note_lasting(story.state, at(11));
  CHECK(proxy_health(story.state) == ProxyHealth::kSynced);

  story.state.kube[0].status.empty = true;
  note_lasting(story.state, at(20));
  CHECK(proxy_health(story.state) == ProxyHealth::kSynced);
  note_lasting(story.state, at(30));
  CHECK(story.check().detail == "IPv4 KUBE-SERVICES is empty, the other family's is not");
  story.state.kube[1].status.empty = true;  // both: flushed, or not written yet
  note_lasting(story.state, at(31));
  CHECK(proxy_health(story.state) == ProxyHealth::kSynced);
}

TEST_CASE("more changes than are kept, and two in one") {
  Story story;
  for (int i = 0; i < 100; ++i) {
    story.change(i * 10);
    story.verify(i * 10 + 2);
  }
  CHECK(story.state.kube.front().changes.size() == 16);
  story.told(991);
  CHECK(story.lag() == 1);
  story.change(2000);
  story.change(2005);  // while the first is not verified
  story.verify(2010);
  story.told(2006);
  CHECK(story.lag() == 4);
}

TEST_CASE("every state of kube-proxy is distinguished and has its text") {
  struct Case {
    ProxyHealth health;
    bool present;
    std::optional<ProxySync> sync;
    std::optional<bool> jumps;
    std::optional<bool> canary;
    const char* words;
  };
  const ProxySync away{false, false, {}, "http://127.0.0.1:10249/proxyMode: refused"};
  const ProxySync silent{true, false, {}, "/metrics: no answer"};
  const ProxySync fresh{true, true, {}, ""};
  const ProxySync synced{true, true, {Story::at(5), std::nullopt}, ""};
  for (const Case& c : {
           Case{ProxyHealth::kNotAsked, true, {}, true, true, "not asked yet"},
           Case{ProxyHealth::kSynced, true, synced, true, true, ""},
           Case{ProxyHealth::kSynced, true, synced, {}, {}, ""},
           Case{ProxyHealth::kDown, true, away, true, true, "while its chains exist"},
           Case{ProxyHealth::kNotStarted, false, away, {}, false, "not started yet"},
           Case{ProxyHealth::kNeverSynced, true, fresh, true, true, "the chains are of before"},
           Case{ProxyHealth::kNeverSynced, false, fresh, {}, false, "not synced since it started"},
           Case{ProxyHealth::kMetricsUnreadable, true, silent, true, true, "/metrics: no answer"},
           Case{ProxyHealth::kJumpsGone, true, synced, false, true, "kubernetes#129128"},
           Case{ProxyHealth::kJumpsGone, true, synced, false, false, "at its next full sync"},
           Case{ProxyHealth::kJumpsGone, true, away, false, true, "no jump leads to them"},
           Case{ProxyHealth::kSynced, false, synced, false, true, ""},
       }) {
    CAPTURE(std::string(to_string(c.health)));
    CAPTURE(std::string(c.words));
    Story story;
    for (KubeState& kube : story.state.kube) {
      kube.status.present = c.present;
      kube.jumps = c.jumps;
      kube.jumps_gone = c.jumps == std::optional(false);
    }
    story.state.canary = c.canary;
    if (c.sync) take_proxy_sync(story.state, *c.sync);
    CHECK(proxy_health(story.state) == c.health);
    const Check check = story.check();
    CHECK(check.informational);
    CHECK(check.ok == (c.health == ProxyHealth::kSynced));
    CHECK_MESSAGE(check.detail.find(c.words) != std::string::npos, check.detail);
    CHECK(check.detail.find('\n') == std::string::npos);
  }
}

TEST_CASE("a change of its health is logged once") {
  Story story;
  TimePoint now(1000h);
  const auto lines = [&] {
    std::vector<Action> actions;
    tell_health(story.state, now, actions);
    std::string text;
    for (const Action& action : actions) text += std::get<LogLine>(action).text + '\n';
    return text;
  };
  CHECK(lines().empty());
  story.told(5);
  CHECK(lines() == "kube-proxy: it answers, and has synced\n");
  CHECK(lines().empty());
  take_proxy_sync(story.state, {false, false, {}, "refused"});
  CHECK(lines().empty());  // it may be restarting
  now += kSyncTakes;
  CHECK(lines().find("it is down") != std::string::npos);
  CHECK(lines().empty());
  story.told(5);
  CHECK(lines() == "kube-proxy: it answers, and has synced\n");
  take_proxy_sync(story.state, {false, false, {}, "refused"});
  CHECK(lines().empty());
  now += kSyncTakes / 2;
  story.told(5);
  CHECK(lines().empty());  // a completed restart is not reported
}

TEST_CASE("in nftables mode no jumps to chains are required") {
  Story story;
  story.state.mode.mode = ProxyMode::kNftables;
  for (KubeState& kube : story.state.kube) kube.jumps_gone = true;
  story.told(5);
  CHECK(proxy_health(story.state) == ProxyHealth::kSynced);
}

TEST_CASE("every state has a unique name") {
  std::set<std::string_view> names;
  for (const ProxyHealth one : kProxyHealths) names.insert(to_string(one));
  CHECK(names.size() == kProxyHealths.size());
  CHECK_FALSE(names.contains("?"));
}

}  // namespace nmanager::test
