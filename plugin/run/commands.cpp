#include "plugin/run/commands.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <iterator>
#include <numeric>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "plugin/reconciler/drops.h"
#include "plugin/reconciler/step.h"
#include "plugin/reconciler/wants.h"
#include "plugin/reconciler/warnings.h"
#include "plugin/run/backends.h"
#include "plugin/run/service_file.h"
#include "plugin/run/surroundings.h"

namespace nmanager::run {

void say(const std::string& line) {
  std::fprintf(stderr, "nmanager: %s\n", line.c_str());
}
void print(const std::string& text) {
  std::fputs(text.c_str(), stdout);
}

Result<ServicesListed> services_of(const Settings& settings, const World& world) {
  if (!settings.options.services_file.empty()) {
    std::vector<std::string> skipped;
    auto services = read_services(settings.options.services_file, skipped);
    for (const std::string& line : skipped) say(line);
    return services;
  }
  const auto access = world.api_server.access(settings);
  if (!access) return access.error();
  return world.api_server.list_once(*access);
}

/// The state after one reading of the node and the cluster, as `run` has it after its first list.
Result<reconciler::State> look_once(Surroundings& around, const World& world) {
  const Settings& settings = around.settings();
  const Now now = world.process.now();
  reconciler::State state = reconciler::initial_state(settings, now);
  around.ask_once();
  (void)step(state, around.look(std::nullopt), now);
  if (node_wanted(state)) {
    const auto access = world.api_server.access(settings);
    auto node = access ? world.api_server.node_once(*access) : std::nullopt;
    std::vector<Event> events;
    events.emplace_back(ApiEvent(std::move(node).value_or(NodePodCidrs{})));
    (void)step(state, std::move(events), now);
  }
  if (!services_wanted(state)) return state;
  auto services = services_of(settings, world);
  if (!services) return services.error();
  std::vector<Event> events;
  if (const auto access = world.api_server.access(settings)) {
    events.emplace_back(ApiServersKnown{api::server_endpoints(*access)});
  }
  events.emplace_back(ApiEvent(std::move(*services)));
  take_all(state, std::move(events), now);
  return state;
}

void take_all(reconciler::State& state, std::vector<Event> events, Now now) {
  do {
    (void)step(state, std::exchange(events, {}), now);
  } while (!state.backlog.empty());
}

namespace {

/// Every part of it; another program that undoes them as fast ends this with an error.
std::vector<SyncReport> sync_to_end(Backend& backend, std::span<const Goal> goals) {
  constexpr int kMostUndone = 10;
  std::vector<SyncReport> reports(goals.size());
  std::vector<std::size_t> open(goals.size());
  std::iota(open.begin(), open.end(), std::size_t{0});
  int undone = 0;
  for (std::size_t before = SIZE_MAX; !open.empty() && undone < kMostUndone;) {
    std::vector<Goal> some;
    some.reserve(open.size());
    for (const std::size_t i : open) some.push_back(goals[i]);
    std::vector<SyncReport> next = backend.sync(some, {});
    std::size_t left = 0;
    std::vector<std::size_t> still_open;
    for (std::size_t k = 0; k < open.size(); ++k) {
      left += next[k].left.value_or(0);
      if (next[k].left || next[k].waits) still_open.push_back(open[k]);
      next[k].committed = next[k].committed || reports[open[k]].committed;
      reports[open[k]] = std::move(next[k]);
    }
    undone += left > 0 && left >= before ? 1 : 0;
    before = left;
    open = std::move(still_open);
  }
  for (SyncReport& report : reports) {
    if (report.left || report.waits)
      report.error = {ErrorKind::kRetry, "rules come back as fast as they are removed"};
  }
  return reports;
}

bool clean_up(Backend& backend) {
  bool clean = true;
  const std::vector<Goal> goals = no_rules_anywhere();
  const std::vector<SyncReport> reports = sync_to_end(backend, goals);
  for (std::size_t i = 0; i < goals.size(); ++i) {
    const SyncReport& report = reports[i];
    const std::string where = std::string(backend.name()) + ", " + to_string(goals[i].id);
    if (report.verified) {
      if (report.committed) say(where + ": our chains were removed");
      for (const ChainName& chain : report.still_referenced) {
        say(where + ": " + chain.str() +
            " was emptied but not deleted: a rule of another program jumps to it");
        clean = false;
      }
    } else if (report.error->kind != ErrorKind::kAbsent &&
               report.error->kind != ErrorKind::kUnsupported) {
      say(where + ": " + report.error->message);
      clean = false;
    }
  }
  return clean;
}

/// Calls `each` with every backend that can be used here; none creates a table. Returns why others
/// cannot be used, one line each, except those that the kernel lacks.
template <class Each>
std::vector<std::string> for_each_backend(const Settings& settings, const World& world, Each each) {
  std::vector<std::string> problems;
  for (const BackendChoice choice : every_backend()) {
    const auto made = world.kernel.make_backend(
        choice, {.create_tables = false, .lock_wait = settings.lock_wait.value, .poll_only = true});
    if (made) {
      each(*made->backend);
    } else if (made.error().kind != ErrorKind::kUnsupported) {
      problems.push_back(std::string(to_string(choice)) + ": " + made.error().message);
    }
  }
  return problems;
}

/// What `run` would remove from the other backends once the rules of `tables` are in place: see
/// Loop::clear_others().
void add_removals(PlanText& plan, std::string_view in_use, std::span<const TableId> tables,
                  const Settings& settings, const World& world) {
  const std::vector<Goal> goals = no_rules_in(tables);
  auto problems = for_each_backend(settings, world, [&](Backend& backend) {
    if (backend.name() == in_use) return;
    const PlanText removal = backend.plan_text(goals);
    plan.text += removal.text;
    for (const std::string& problem : removal.problems) {
      plan.problems.push_back(std::string(backend.name()) + ", " + problem);
    }
  });
  std::ranges::move(problems, std::back_inserter(plan.problems));
}

}  // namespace

int plan_command(const Settings& own, const World& world) {
  Surroundings around(own, world);
  auto state = look_once(around, world);
  if (!state) {
    say(state.error().message);
    return kExitFailed;
  }
  for (const Warning& warning : warnings_of(*state)) say(warning.text);
  Backends backends(around.settings(), world.kernel, TableCreation::kNever);
  const auto known = backends.look(world.process.now().mono, state->mode.mode, {});
  if (backends.backend() == nullptr) {
    say(known ? known->note : "no backend can be used here");
    return kExitFailed;
  }
  if (known && !known->note.empty()) say(known->note);
  std::vector<Goal> goals;
  std::vector<TableId> decided;
  for (reconciler::TableState& table : state->tables) {
    if (table.want == reconciler::Want::kLeave) continue;
    goals.push_back({table.id, spec_of(*state, table)});
    if (!table.undecided) decided.push_back(table.id);
  }
  if (!decided.empty()) {
    std::ranges::move(no_rules_in(tables_to_clear(*state, true, {})), std::back_inserter(goals));
  }
  PlanText plan = backends.backend()->plan_text(goals);
  if (!decided.empty() && plan.problems.empty()) {
    add_removals(plan, backends.backend()->name(), tables_to_clear(*state, false, decided),
                 around.settings(), world);
  }
  for (const std::string& problem : plan.problems) say(problem);
  print(plan.text);
  if (plan.text.empty() && plan.problems.empty()) say("nothing to change");
  return plan.problems.empty() ? kExitDone : kExitFailed;
}

int cleanup_command(const Settings& own, const World& world) {
  if (const std::string other = world.process.claim_node(); !other.empty()) {
    say(other + " keeps the rules of this node and would put them back: stop it first");
    return kExitFailed;
  }
  bool clean = true;
  const auto problems =
      for_each_backend(own, world, [&](Backend& backend) { clean = clean_up(backend) && clean; });
  for (const std::string& problem : problems) say(problem);
  clean = clean && problems.empty();
  return clean ? kExitDone : kExitFailed;
}

}  // namespace nmanager::run
