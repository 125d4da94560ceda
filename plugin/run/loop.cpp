#include "plugin/run/loop.h"

#include <malloc.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <utility>

#include "hooks/conntrack/forget_flows.h"
#include "plugin/reconciler/publish.h"
#include "plugin/reconciler/step.h"

namespace nmanager {

namespace {

constexpr Millis kLookAroundInterval{5'000};
constexpr Millis kLongestWait{1'000};  // /livez and the ages in /readyz want a turn now and then

}  // namespace

Loop::Loop(const Settings& settings, Mailbox<Event>& mailbox, std::shared_ptr<spdlog::logger> log,
           LoopHooks hooks)
    : state_(initial_state(settings, now())),
      mailbox_(mailbox),
      log_(std::move(log)),
      hooks_(std::move(hooks)),
      slot_(settings) {}

Now Loop::now() {
  return {std::chrono::steady_clock::now(), std::chrono::system_clock::now()};
}

void Loop::run(int stop_fd) {
  do {
    turn(gather());
    choose_backend();
    publish();
    hooks_.beat();
  } while (wait(stop_fd));
}

/// Everything that has happened since the last turn.
Loop::Events Loop::gather() {
  const TimePoint time = now().mono;
  Events events;
  if (ChangeWatch* watch = slot_.watch(); watch != nullptr) {
    for (TableChange& change : watch->drain()) events.emplace_back(std::move(change));
    next_drain_ = time + watch->poll_interval();
  }
  for (Event& event : mailbox_.take()) events.push_back(std::move(event));
  if (look_around_now_ || time >= next_look_around_) {
    for (Event& event : hooks_.look_around(kube_chains())) events.push_back(std::move(event));
    next_look_around_ = time + kLookAroundInterval;
    look_around_now_ = false;
  }
  return events;
}

/// Nothing while no table could be looked at.
std::optional<bool> Loop::kube_chains() const {
  if (slot_.backend() == nullptr) return std::nullopt;
  return std::ranges::any_of(state_.kube,
                             [](const KubeState& kube) { return kube.status.present; });
}

void Loop::turn(Events events) {
  if (events.empty()) events.emplace_back(Tick{});
  while (!events.empty()) {
    const auto actions = step(state_, std::exchange(events, {}), now());
    for (const Action& action : actions) run_action(action, events);
  }
}

void Loop::run_action(const Action& action, Events& answers) {
  if (const auto* sync_action = std::get_if<SyncTable>(&action)) {
    sync(*sync_action, answers);
  } else if (const auto* look = std::get_if<LookAtKube>(&action)) {
    look_at_kube(*look, answers);
  } else if (const auto* line = std::get_if<LogLine>(&action)) {
    write_log(*line);
  } else if (const auto* flows = std::get_if<ForgetUdpFlows>(&action)) {
    forget_flows(*flows);
  } else if (std::holds_alternative<AskKubeProxy>(action)) {
    hooks_.ask_kube_proxy();
  } else {
    ::malloc_trim(0);
  }
}

void Loop::sync(const SyncTable& action, Events& answers) {
  Backend* backend = slot_.backend();
  if (backend == nullptr) return;
  SyncOptions options;
  options.keep_plan_text = log_->should_log(spdlog::level::debug);
  options.expected = action.digests.get();
  answers.emplace_back(TableSynced{
      action.id, sync_table(*backend, action.id, *action.desired, action.leave, options)});
}

void Loop::look_at_kube(const LookAtKube& action, Events& answers) {
  Backend* backend = slot_.backend();
  if (backend == nullptr) return;
  KubeLooked looked;
  looked.family = action.family;
  looked.stamp = backend->kube_stamp(action.family);
  const bool moved = looked.stamp.ok() && action.known_stamp != *looked.stamp;
  if (moved && action.may_read_content) {
    const auto start = std::chrono::steady_clock::now();
    auto checksum = backend->kube_checksum(action.family);
    looked.checksum_cost = std::chrono::steady_clock::now() - start;
    if (checksum.ok()) {
      looked.checksum = *checksum;
    } else {
      looked.stamp = checksum.error();
    }
  }
  answers.emplace_back(std::move(looked));
}

void Loop::forget_flows(const ForgetUdpFlows& action) {
  const auto deleted = forget_udp_flows(action.family, action.change);
  if (!deleted) {
    log_->warn("{}: UDP flows that began before a change of their rules go on the old way: {}",
               to_string(action.family), deleted.error().message);
  } else if (*deleted > 0) {
    log_->info("{}: {} UDP flows begin anew under changed rules", to_string(action.family),
               *deleted);
  }
}

void Loop::write_log(const LogLine& line) {
  constexpr std::array kLevels{spdlog::level::debug, spdlog::level::info, spdlog::level::warn,
                               spdlog::level::err};
  log_->log(kLevels.at(static_cast<std::size_t>(line.level)), line.text);
}

/// After the turn: a repair does not wait for a look at the evidence.
void Loop::choose_backend() {
  if (auto news = slot_.look(now().mono)) {
    Events events;
    events.emplace_back(std::move(*news));
    turn(std::move(events));
  }
  if (slot_.has_retired()) retire_old_backend();
}

/// First the new backend stands, then the old one's chains go: no moment unprotected.
void Loop::retire_old_backend() {
  const bool stands = std::ranges::all_of(state_.tables, [](const TableState& table) {
    return table.want != Want::kRules || table.status.in_sync;
  });
  if (!stands) return;
  const auto old = slot_.take_retired();
  for (const TableId id : kTables) {
    const SyncReport report = sync_table(*old, id, {}, {}, {});
    const bool gone = report.verified || report.error->kind == ErrorKind::kAbsent ||
                      report.error->kind == ErrorKind::kUnsupported;
    if (!gone) {
      log_->warn("{}: our chains could not be removed from {}: {}", to_string(id), old->name(),
                 report.error->message);
    } else if (report.committed) {
      log_->info("{}: our chains are removed from {}", to_string(id), old->name());
    }
  }
}

void Loop::publish() {
  hooks_.publish(make_snapshot(state_, now()));
}

/// False: stop.
bool Loop::wait(int stop_fd) {
  const TimePoint time = now().mono;
  TimePoint until = std::min({wake_at(state_, time), time + kLongestWait, next_look_around_,
                              std::max(slot_.next_look(), time)});
  std::vector<pollfd> fds{{stop_fd, POLLIN, 0}, {mailbox_.fd(), POLLIN, 0}};
  for (const int fd : hooks_.wake_fds) fds.push_back({fd, POLLIN, 0});
  if (ChangeWatch* watch = slot_.watch(); watch != nullptr) {
    until = std::min(until, next_drain_);
    if (watch->fd() >= 0) fds.push_back({watch->fd(), POLLIN, 0});
  }
  const auto rest = std::max(until - time, std::chrono::steady_clock::duration::zero());
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(rest);
  const auto nanos = std::chrono::duration_cast<std::chrono::nanoseconds>(rest - seconds);
  const timespec timeout{seconds.count(), nanos.count()};
  (void)::ppoll(fds.data(), fds.size(), &timeout, nullptr);
  for (std::size_t i = 0; i < hooks_.wake_fds.size(); ++i) {
    if (fds[2 + i].revents != 0) look_around_now_ = true;
  }
  return fds.front().revents == 0;
}

}  // namespace nmanager
