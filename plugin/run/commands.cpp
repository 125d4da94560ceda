#include "plugin/run/commands.h"

#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "plugin/api/api_client.h"
#include "plugin/api/http_client.h"
#include "plugin/neighbour/http_get.h"
#include "plugin/reconciler/step.h"
#include "plugin/reconciler/wants.h"
#include "plugin/run/access.h"
#include "plugin/run/backend_slot.h"
#include "plugin/run/neighbourhood.h"
#include "plugin/services/decode.h"
#include "plugin/settings/parse.h"

namespace nmanager::run {

namespace {

void say(const std::string& line) {
  std::fprintf(stderr, "nmanager: %s\n", line.c_str());
}
void print(const std::string& text) {
  std::fputs(text.c_str(), stdout);
}

Result<ServicesListed> services_from_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return Error{ErrorKind::kAbsent, path + " cannot be read"};
  std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  auto page = services::decode_list(std::move(text));
  if (!page) return Error{page.error().kind, path + ": " + page.error().message};
  for (const services::Undecodable& bad : page->undecodable) {
    say("Service " + bad.key + " is skipped: " + bad.reason);
  }
  return ServicesListed{std::move(page->services), page->resource_version};
}

Result<ServicesListed> services_of(const Settings& settings) {
  if (!settings.services_file.empty()) return services_from_file(settings.services_file);
  const auto access = choose_access(settings);
  if (!access) return access.error();
  api::start_http_library();
  return api::list_once(*access);
}

/// The state after one look around, as `run` would have it after its first list.
Result<reconciler::State> look_once(Neighbourhood& around) {
  const Settings& settings = around.settings();
  const Now now{std::chrono::steady_clock::now(), std::chrono::system_clock::now()};
  auto services = services_of(settings);
  if (!services) return services.error();
  reconciler::State state = reconciler::initial_state(settings, now);
  std::vector<Event> events = around.look(std::nullopt);
  events.emplace_back(ApiEvent(std::move(*services)));
  (void)reconciler::step(state, std::move(events), now);
  return state;
}

bool clean_up(Backend& backend) {
  bool clean = true;
  const std::vector<Goal> goals = no_rules_anywhere();
  const std::vector<SyncReport> reports = backend.sync(goals, {});
  for (std::size_t i = 0; i < goals.size(); ++i) {
    const SyncReport& report = reports[i];
    const std::string where = std::string(backend.name()) + ", " + to_string(goals[i].id);
    if (report.verified) {
      if (report.committed) say(where + ": our chains are removed");
      for (const ChainName& chain : report.still_referenced) {
        say(where + ": " + chain.str() +
            " is emptied but stays: a rule of somebody else jumps to it");
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

}  // namespace

int plan_command(const Settings& own) {
  Neighbourhood around(own);
  Settings settings = around.settings();
  auto state = look_once(around);
  if (!state) {
    say(state.error().message);
    return kExitFailed;
  }
  for (const std::string& warning : reconciler::warnings_of(*state)) say(warning);
  BackendSlot slot(settings, TableCreation::kNever);
  const auto known = slot.look(std::chrono::steady_clock::now(), state->mode.mode, {});
  if (slot.backend() == nullptr) {
    say(known ? known->note : "no backend can be used here");
    return kExitFailed;
  }
  if (known && !known->note.empty()) say(known->note);
  std::vector<Goal> goals;
  for (reconciler::TableState& table : state->tables) {
    if (table.want != reconciler::Want::kLeave)
      goals.push_back({table.id, reconciler::spec_of(*state, table)});
  }
  const PlanText plan = slot.backend()->plan_text(goals);
  for (const std::string& problem : plan.problems) say(problem);
  print(plan.text);
  return plan.problems.empty() ? kExitDone : kExitFailed;
}

int cleanup_command(const Settings& own) {
  const Neighbourhood around(own);
  bool clean = true;
  for (const auto& backend : every_backend(around.settings())) clean = clean_up(*backend) && clean;
  return clean ? kExitDone : kExitFailed;
}

int status_command(const Settings& settings) {
  const auto endpoint = parse_endpoint(settings.listen.value);
  if (!endpoint) {
    say(endpoint.error().message);
    return kExitUsage;
  }
  const auto text = neighbour::http_get(*endpoint, "/status", {});
  if (!text) {
    say(text.error().message);
    return kExitUsage;
  }
  print(*text);
  return text->starts_with("ready") ? kExitDone : kExitFailed;
}

}  // namespace nmanager::run
