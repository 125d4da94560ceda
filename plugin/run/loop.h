// The owner thread: waits for events, lets step() decide, does what it asks for, publishes the
// result.
#pragma once

#include <functional>
#include <memory>

#include <spdlog/logger.h>

#include "plugin/reconciler/action.h"
#include "plugin/reconciler/state.h"
#include "plugin/run/backend_slot.h"
#include "plugin/run/mailbox.h"

namespace nmanager::run {

/// What the loop needs of the world besides kernel tables; all called on the owner thread.
struct LoopHooks {
  std::function<void(Snapshot)> publish;
  std::function<void()> beat;            // the loop turns
  std::function<void()> ask_kube_proxy;  // an answer comes through the mailbox
  /// Cheap things to look at now and then; told whether KUBE-SERVICES stands.
  std::function<std::vector<Event>(std::optional<bool> kube_chains)> look_around;
  std::vector<int> wake_fds;  // readable: call look_around at once
};

class Loop {
 public:
  Loop(const Settings& settings, Mailbox<Event>& mailbox, std::shared_ptr<spdlog::logger> log,
       LoopHooks hooks);

  /// Until `stop_fd` is readable. The rules stay: a rolling update must not open a gap.
  void run(int stop_fd);

 private:
  using Events = std::vector<Event>;

  [[nodiscard]] static Now now();
  Events gather();
  [[nodiscard]] std::optional<bool> kube_chains() const;
  void turn(Events events);
  void run_action(const reconciler::Action& action, Events& answers);
  void sync(const reconciler::SyncTables& action, Events& answers);
  void look_at_kube(const reconciler::LookAtKube& action, Events& answers);
  void forget_flows(const reconciler::ForgetUdpFlows& action);
  void write_log(const reconciler::LogLine& line);
  void choose_backend();
  [[nodiscard]] std::string trouble_of_backend() const;
  void clear_retired();
  [[nodiscard]] bool clear(Backend& old);
  void publish();
  bool wait(int stop_fd);

  reconciler::State state_;
  Mailbox<Event>& mailbox_;
  std::shared_ptr<spdlog::logger> log_;
  LoopHooks hooks_;
  BackendSlot slot_;
  TimePoint next_look_around_{};
  TimePoint next_drain_{};
  bool look_around_now_ = true;
};

}  // namespace nmanager::run
