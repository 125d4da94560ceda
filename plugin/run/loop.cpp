#include "plugin/run/loop.h"

#include <algorithm>
#include <utility>

#include "plugin/reconciler/drops.h"
#include "plugin/reconciler/explain.h"
#include "plugin/reconciler/publish.h"
#include "plugin/reconciler/step.h"
#include "plugin/reconciler/wants.h"
#include "plugin/settings/definitions.h"

namespace nmanager::run {

namespace {

using Level = reconciler::LogLine::Level;

constexpr Millis kLookAroundInterval{5'000};
constexpr Millis kLongestWait{1'000};  // /livez and the ages in /readyz need regular turns

}  // namespace

Loop::Loop(const Settings& own, std::string version, const World& world, Mailbox<Event>& mailbox)
    : world_(world),
      version_(std::move(version)),
      mailbox_(mailbox),
      around_(own, world),
      state_(reconciler::initial_state(around_.settings(), world.process.now())),
      backends_(around_.settings(), world.kernel),
      feed_(world.api_server, mailbox, ServiceFeed::What::kServices),
      node_feed_(world.api_server, mailbox, ServiceFeed::What::kNode) {
  around_.start_asking();
}

void Loop::run() {
  do {
    turn();
  } while (world_.process.wait(next_turn(), wake_fds()));
}

void Loop::turn() {
  held_up_ = false;
  if (claim_node()) {
    take(gather());
    // A repair does not wait for the evidence or for leftovers in other backends.
    choose_backend();
    follow_services();
    clear_others();
  }
  answer_questions();
  answered_ = asked_;
  publish();
  world_.output.beat(mono());
}

/// False: another nmanager keeps the rules of this network namespace; nothing is changed.
bool Loop::claim_node() {
  if (claimed_) return true;
  std::string other = world_.process.claim_node();
  claimed_ = other.empty();
  Events events;
  events.emplace_back(NodeClaimed{std::move(other)});
  take(std::move(events));
  return claimed_;
}

/// All events since the last turn.
Loop::Events Loop::gather() {
  Events events;
  if (ChangeWatch* watch = backends_.watch(); watch != nullptr) {
    for (TableChange& change : watch->drain()) events.emplace_back(std::move(change));
    if (!events.empty()) backends_.evidence_may_have_changed();
    next_drain_ = mono() + watch->poll_interval();
  }
  for (Event& event : mailbox_.take()) events.push_back(std::move(event));
  asked_ = world_.output.asked();  // after the mailbox, since each question posts to it
  if (asked_ != answered_) events.emplace_back(CountersAsked{});
  look_around(events);
  return events;
}

void Loop::look_around(Events& events) {
  if (mono() < next_look_around_ && !world_.kube_proxy.has_news()) return;
  const auto before = settings::effective_settings(around_.settings());
  for (Event& event : around_.look(kube_chains())) events.push_back(std::move(event));
  next_look_around_ = mono() + kLookAroundInterval;
  if (!around_.take_access_changed()) return;
  log_changes(before);
  if (node_feed_.running()) (void)node_feed_.follow(around_.settings());
  if (!feed_.running() && feed_.problem().empty()) return;
  const std::string problem = feed_.problem();
  if (feed_.follow(around_.settings())) {
    log(Level::kInfo, "access to the API server has changed: Services are listed again");
  } else if (!feed_.problem().empty() && feed_.problem() != problem) {
    log(Level::kWarning, "access to the API server: " + feed_.problem());
  }
}

void Loop::log_changes(const std::vector<SettingShown>& before) const {
  const auto after = settings::effective_settings(around_.settings());
  const auto shown = [](const SettingShown& one) {
    return (one.value.empty() ? "-" : one.value) + " (" + one.origin + ")";
  };
  for (std::size_t i = 0; i < before.size() && i < after.size(); ++i) {
    if (before[i].value == after[i].value && before[i].origin == after[i].origin) continue;
    log(Level::kInfo,
        "setting " + after[i].name + " is now " + shown(after[i]) + ", was " + shown(before[i]));
  }
}

/// nullopt while no table could be read.
std::optional<bool> Loop::kube_chains() const {
  if (backends_.backend() == nullptr) return std::nullopt;
  return std::ranges::any_of(state_.kube,
                             [](const reconciler::KubeState& kube) { return kube.status.present; });
}

void Loop::take(Events events) {
  if (events.empty()) events.emplace_back(Tick{});
  while (!events.empty()) {
    auto actions = step(state_, std::exchange(events, {}), world_.process.now(), !held_up_);
    held_up_ = held_up_ || !state_.backlog.empty();
    for (reconciler::Action& action : actions) run_action(action, events);
  }
}

void Loop::run_action(reconciler::Action& action, Events& answers) {
  if (const auto* tables = std::get_if<reconciler::SyncTables>(&action)) {
    sync(*tables, answers);
  } else if (const auto* look = std::get_if<reconciler::LookAtKube>(&action)) {
    look_at_kube(*look, answers);
  } else if (const auto* line = std::get_if<reconciler::LogLine>(&action)) {
    log(line->level, line->text);
  } else if (const auto* flows = std::get_if<reconciler::ForgetUdpFlows>(&action)) {
    answers.emplace_back(FlowsForgotten{flows->family, flows->change, flows->again,
                                        world_.kernel.forget_flows(flows->family, flows->change)});
  } else if (std::holds_alternative<reconciler::AskKubeProxy>(action)) {
    world_.kube_proxy.ask_soon();
  } else {
    world_.process.give_back(std::move(std::get<reconciler::GiveBack>(action).unused));
  }
}

void Loop::sync(const reconciler::SyncTables& action, Events& answers) {
  Backend* backend = backends_.backend();
  if (backend == nullptr) return;
  // A lock or another agent may delay the read, so the detected change is published before.
  if (has_unverified_change(state_)) publish();
  SyncOptions options;
  options.keep_plan_text = world_.output.logs_debug();
  options.spare_flushed = action.spare_flushed;
  options.check = action.check;
  auto reports = backend->sync(action.goals, options);
  // At most one wait for a lock or another agent, one large table, or one part of a large change,
  // per turn, so that other events are handled.
  for (std::size_t i = 0; i < reports.size(); ++i) {
    if (reports[i].unused) world_.process.give_back(std::move(reports[i].unused));
    held_up_ = held_up_ || reports[i].large || reports[i].waits || reports[i].left ||
               (reports[i].error && reports[i].error->kind == ErrorKind::kRetry);
    answers.emplace_back(TableSynced{action.goals[i].id, std::move(reports[i])});
  }
}

void Loop::look_at_kube(const reconciler::LookAtKube& action, Events& answers) {
  Backend* backend = backends_.backend();
  if (backend == nullptr) return;
  KubeLooked looked;
  looked.family = action.family;
  looked.stamp = backend->kube_stamp(action.family);
  const bool moved = looked.stamp.ok() && action.known_stamp != *looked.stamp;
  // Reading an absent table is cheap and does not have to wait.
  const bool gone = looked.stamp.ok() && *looked.stamp == KubeStamp{0};
  if (moved && (action.may_read_content || gone)) {
    const auto start = mono();
    auto checksum = backend->kube_checksum(action.family);
    looked.checksum_cost = mono() - start;
    if (checksum.ok()) {
      looked.checksum = *checksum;
    } else {
      looked.stamp = checksum.error();
    }
  }
  answers.emplace_back(std::move(looked));
}

/// Services are listed and watched only while rules may depend on them.
void Loop::follow_services() {
  follow(feed_, services_wanted(state_), around_.settings());
  follow(node_feed_, node_wanted(state_), around_.settings());
}

void Loop::follow(ServiceFeed& feed, bool wanted, const Settings& settings) {
  if (wanted == feed.running()) return;
  if (wanted) {
    (void)feed.follow(settings);  // failures are reported in the mailbox
    return;
  }
  feed.stop();
}

void Loop::choose_backend() {
  const BackendTrouble trouble{trouble_of_backend(state_), has_worked(state_)};
  auto news = backends_.look(mono(), state_.mode.mode, trouble);
  if (!news) return;
  Events events;
  events.emplace_back(std::move(*news));
  take(std::move(events));
}

/// Removes rules from other backends, and from families that are left out, only after the rules of
/// the backend in use are in place, so that there is no moment without rules.
void Loop::clear_others() {
  const std::vector<TableId> settled = settled_tables(state_);
  if (settled.empty() || has_unverified_change(state_)) return;
  // Undecided tables are left until they are decided.
  const bool all = all_stand(state_);
  if (settled.size() > settled_when_cleared_) backends_.clear_unfinished(mono());
  settled_when_cleared_ = settled.size();
  backends_.clear_next(mono(), [&](Backend& backend, bool in_use, std::set<TableId>& done) {
    std::vector<TableId> tables = tables_to_clear(state_, in_use, settled);
    std::erase_if(tables, [&](TableId id) { return done.contains(id); });
    const auto cleared = clear(backend, tables, done);
    const bool wait = cleared == Backends::Cleared::kDone && !all && !in_use;
    return wait ? Backends::Cleared::kRetry : cleared;
  });
}

Backends::Cleared Loop::clear(Backend& backend, std::span<const TableId> tables,
                              std::set<TableId>& done) {
  auto cleared = Backends::Cleared::kDone;
  const std::vector<Goal> goals = no_rules_in(tables);
  const std::vector<SyncReport> reports = backend.sync(goals, {});
  for (std::size_t i = 0; i < goals.size(); ++i) {
    const std::string where = to_string(goals[i].id);
    const SyncReport& report = reports[i];
    const bool gone = !report.error || report.error->kind == ErrorKind::kAbsent ||
                      report.error->kind == ErrorKind::kUnsupported;
    if (report.left || report.waits) {
      cleared = Backends::Cleared::kPart;
      continue;
    }
    if (!gone) {
      if (cleared == Backends::Cleared::kDone) cleared = Backends::Cleared::kRetry;
      log(Level::kWarning, where + ": our chains could not be removed from " +
                               std::string(backend.name()) + ": " + report.error->message);
      continue;
    }
    done.insert(goals[i].id);
    if (report.committed) {
      log(Level::kInfo, where + ": our chains were removed from " + std::string(backend.name()));
    }
  }
  return cleared;
}

void Loop::answer_questions() {
  for (status::PendingQuestion& pending : world_.output.take_questions()) {
    pending.answer(explain(state_, pending.question));
  }
}

void Loop::publish() {
  const Now now = world_.process.now();
  Snapshot snapshot = make_snapshot(state_, now);
  snapshot.answers = answered_;
  snapshot.version = version_;
  snapshot.settings = settings::effective_settings(around_.settings());
  snapshot.proxy_version = around_.kube_proxy_version().value_or("");
  snapshot.lost_log_lines = world_.output.lost_log_lines();
  for (const std::string& note : around_.route_notes()) {
    snapshot.warnings.push_back({WarningCode::kPodCidrWrong, note});
  }
  for (const ServiceFeed* feed : {&feed_, &node_feed_}) {
    if (feed->problem().empty()) continue;
    snapshot.warnings.push_back(
        {WarningCode::kApiAccess, "access to the API server: " + feed->problem()});
  }
  std::ranges::stable_sort(snapshot.warnings, {}, &Warning::code);
  world_.output.publish(std::move(snapshot));
  // Rules have priority: a port in use is tried again in each turn.
  const std::string problem = world_.output.serve(now.mono);
  if (problem == endpoint_problem_) return;
  if (problem.empty()) {
    log(Level::kInfo, "the status endpoint is served now");
  } else {
    log(Level::kError, problem + "; tried again each second, the rules are kept meanwhile");
  }
  endpoint_problem_ = problem;
}

TimePoint Loop::next_turn() const {
  const TimePoint now = mono();
  if (!state_.other_nmanager.empty()) return now + kLongestWait;
  TimePoint until = std::min({wake_at(state_, now), now + kLongestWait, next_look_around_,
                              std::max(backends_.next_look(), now)});
  if (backends_.watch() != nullptr) until = std::min(until, next_drain_);
  if (!settled_tables(state_).empty() && !has_unverified_change(state_)) {
    until = std::min(until, std::max(backends_.next_clear(), now));
  }
  return std::max(until, now);
}

/// Empty while another nmanager keeps this node: the descriptors would not be drained.
std::vector<int> Loop::wake_fds() const {
  if (!state_.other_nmanager.empty()) return {};
  std::vector<int> fds = world_.kube_proxy.fds();
  fds.push_back(mailbox_.fd());
  if (const ChangeWatch* watch = backends_.watch(); watch != nullptr && watch->fd() >= 0) {
    fds.push_back(watch->fd());
  }
  return fds;
}

}  // namespace nmanager::run
