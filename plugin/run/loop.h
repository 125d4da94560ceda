// The owner thread: waits for events, lets step() decide, executes the decision, publishes the
// result. It accesses the outside only through World.
//
// The longest block in one turn: one wait for the xtables lock (--lock-wait, at most 15 s) and the
// kernel's own time for a commit; the wait for netlink answers is at most 5 s.
#pragma once

#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "plugin/reconciler/action.h"
#include "plugin/reconciler/state.h"
#include "plugin/run/backends.h"
#include "plugin/run/mailbox.h"
#include "plugin/run/service_feed.h"
#include "plugin/run/surroundings.h"
#include "plugin/run/world.h"

namespace nmanager::run {

class Loop {
 public:
  /// `own`: flags and environment only. `world` and `mailbox` must live longer.
  Loop(const Settings& own, std::string version, const World& world, Mailbox<Event>& mailbox);

  /// Runs until a stop is requested. The rules stay: a rolling update must not open a gap.
  void run();

  /// One turn: collects events, acts on them, publishes.
  void turn();
  /// The next turn is due no later than this.
  [[nodiscard]] TimePoint next_turn() const;
  /// Readable: a turn is due now.
  [[nodiscard]] std::vector<int> wake_fds() const;

  [[nodiscard]] const reconciler::State& state() const { return state_; }
  [[nodiscard]] const Settings& settings() const { return around_.settings(); }

 private:
  using Events = std::vector<Event>;

  [[nodiscard]] bool claim_node();
  Events gather();
  void look_around(Events& events);
  void log_changes(const std::vector<SettingShown>& before) const;
  [[nodiscard]] std::optional<bool> kube_chains() const;
  void take(Events events);
  void run_action(reconciler::Action& action, Events& answers);
  void sync(const reconciler::SyncTables& action, Events& answers);
  void look_at_kube(const reconciler::LookAtKube& action, Events& answers);
  void follow_services();
  static void follow(ServiceFeed& feed, bool wanted, const Settings& settings);
  void choose_backend();
  void clear_others();
  [[nodiscard]] Backends::Cleared clear(Backend& backend, std::span<const TableId> tables,
                                        std::set<TableId>& done);
  void answer_questions();
  void publish();
  void log(reconciler::LogLine::Level level, const std::string& text) const {
    world_.output.log(level, text);
  }
  [[nodiscard]] TimePoint mono() const { return world_.process.now().mono; }

  World world_;
  std::string version_;
  Mailbox<Event>& mailbox_;
  Surroundings around_;
  reconciler::State state_;
  Backends backends_;
  ServiceFeed feed_;
  ServiceFeed node_feed_;
  bool claimed_ = false;
  bool held_up_ = false;  // in this turn: no more tables are looked at before the next
  std::size_t settled_when_cleared_ = 0;
  std::uint64_t asked_ = 0;     // requests for fresh counters that were read
  std::uint64_t answered_ = 0;  // of these, answered in the state
  std::string endpoint_problem_;
  TimePoint next_look_around_{};
  TimePoint next_drain_{};
};

}  // namespace nmanager::run
