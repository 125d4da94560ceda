#include "plugin/run/loop.h"

#include <malloc.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <utility>

#include "hooks/conntrack/forget_flows.h"
#include "plugin/reconciler/publish.h"
#include "plugin/reconciler/step.h"
#include "plugin/reconciler/wants.h"

namespace nmanager::run {

namespace {

constexpr Millis kLookAroundInterval{5'000};
constexpr Millis kLongestWait{1'000};  // /livez and the ages in /readyz want a turn now and then

}  // namespace

Loop::Loop(const Settings& settings, Mailbox<Event>& mailbox, std::shared_ptr<spdlog::logger> log,
           LoopHooks hooks)
    : state_(reconciler::initial_state(settings, now())),
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
    if (!events.empty()) slot_.evidence_may_have_changed();
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
                             [](const reconciler::KubeState& kube) { return kube.status.present; });
}

void Loop::turn(Events events) {
  if (events.empty()) events.emplace_back(Tick{});
  while (!events.empty()) {
    const auto actions = reconciler::step(state_, std::exchange(events, {}), now());
    for (const reconciler::Action& action : actions) run_action(action, events);
  }
}

void Loop::run_action(const reconciler::Action& action, Events& answers) {
  if (const auto* sync_action = std::get_if<reconciler::SyncTables>(&action)) {
    sync(*sync_action, answers);
  } else if (const auto* look = std::get_if<reconciler::LookAtKube>(&action)) {
    look_at_kube(*look, answers);
  } else if (const auto* line = std::get_if<reconciler::LogLine>(&action)) {
    write_log(*line);
  } else if (const auto* flows = std::get_if<reconciler::ForgetUdpFlows>(&action)) {
    forget_flows(*flows);
  } else if (std::holds_alternative<reconciler::AskKubeProxy>(action)) {
    hooks_.ask_kube_proxy();
  } else {
    if (slot_.backend() != nullptr) slot_.backend()->trim();
    ::malloc_trim(0);
  }
}

void Loop::sync(const reconciler::SyncTables& action, Events& answers) {
  Backend* backend = slot_.backend();
  if (backend == nullptr) return;
  SyncOptions options;
  options.keep_plan_text = log_->should_log(spdlog::level::debug);
  auto reports = backend->sync(action.goals, options);
  for (std::size_t i = 0; i < reports.size(); ++i) {
    answers.emplace_back(TableSynced{action.goals[i].id, std::move(reports[i])});
  }
}

void Loop::look_at_kube(const reconciler::LookAtKube& action, Events& answers) {
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

void Loop::forget_flows(const reconciler::ForgetUdpFlows& action) {
  const auto deleted = conntrack::forget_udp_flows(action.family, action.change);
  if (!deleted) {
    log_->warn("{}: UDP flows that began before a change of their rules go on the old way: {}",
               to_string(action.family), deleted.error().message);
  } else if (*deleted > 0) {
    log_->info("{}: {} UDP flows begin anew under changed rules", to_string(action.family),
               *deleted);
  }
}

void Loop::write_log(const reconciler::LogLine& line) {
  constexpr std::array kLevels{spdlog::level::debug, spdlog::level::info, spdlog::level::warn,
                               spdlog::level::err};
  log_->log(kLevels.at(static_cast<std::size_t>(line.level)), line.text);
}

/// After the turn: a repair does not wait for a look at the evidence.
void Loop::choose_backend() {
  if (auto news = slot_.look(now().mono, state_.mode.mode, trouble_of_backend())) {
    Events events;
    events.emplace_back(std::move(*news));
    turn(std::move(events));
  }
  if (slot_.has_retired(now().mono)) clear_retired();
}

/// Why the backend in use is of no use here; empty: it works, or may work later.
std::string Loop::trouble_of_backend() const {
  for (const reconciler::TableState& table : state_.tables) {
    if (table.want != reconciler::Want::kRules || !table.status.error) continue;
    const ErrorKind kind = table.status.error->kind;
    if (kind == ErrorKind::kUnsupported || kind == ErrorKind::kAbsent) {
      return to_string(table.id) + ": " + table.status.error->message;
    }
  }
  return {};
}

/// First the new backend stands, then the old ones' chains go: no moment unprotected.
void Loop::clear_retired() {
  if (!reconciler::all_stand(state_)) return;
  slot_.clear_retired(now().mono, [this](Backend& old) { return clear(old); });
}

/// False: to be tried again.
bool Loop::clear(Backend& old) {
  bool cleared = true;
  const std::vector<Goal> goals = no_rules_anywhere();
  const std::vector<SyncReport> reports = old.sync(goals, {});
  for (std::size_t i = 0; i < goals.size(); ++i) {
    const TableId id = goals[i].id;
    const SyncReport& report = reports[i];
    const bool gone = report.verified || report.error->kind == ErrorKind::kAbsent ||
                      report.error->kind == ErrorKind::kUnsupported;
    if (!gone) {
      cleared = false;
      log_->warn("{}: our chains could not be removed from {}: {}", to_string(id), old.name(),
                 report.error->message);
    } else if (report.committed) {
      log_->info("{}: our chains are removed from {}", to_string(id), old.name());
    }
  }
  return cleared;
}

void Loop::publish() {
  hooks_.publish(reconciler::make_snapshot(state_, now()));
}

/// False: stop.
bool Loop::wait(int stop_fd) {
  const TimePoint time = now().mono;
  TimePoint until = std::min({reconciler::wake_at(state_, time), time + kLongestWait,
                              next_look_around_, std::max(slot_.next_look(), time)});
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

}  // namespace nmanager::run
