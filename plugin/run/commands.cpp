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

namespace nmanager {

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
  auto page = decode_list(std::move(text));
  if (!page) return Error{page.error().kind, path + ": " + page.error().message};
  for (const Undecodable& bad : page->undecodable) {
    say("Service " + bad.key + " is skipped: " + bad.reason);
  }
  return ServicesListed{std::move(page->services), page->resource_version};
}

Result<ServicesListed> services_of(const Settings& settings) {
  if (!settings.services_file.empty()) return services_from_file(settings.services_file);
  const auto access = choose_access(settings);
  if (!access) return access.error();
  start_http_library();
  return list_once(*access);
}

/// The state after one look around, as `run` would have it after its first list.
Result<State> look_once(Neighbourhood& around) {
  const Settings& settings = around.settings();
  const Now now{std::chrono::steady_clock::now(), std::chrono::system_clock::now()};
  auto services = services_of(settings);
  if (!services) return services.error();
  State state = initial_state(settings, now);
  std::vector<Event> events = around.look(std::nullopt);
  events.emplace_back(ApiEvent(std::move(*services)));
  (void)step(state, std::move(events), now);
  return state;
}

/// What stands in a table that does not exist: nothing.
Result<ObservedTable> observe(Backend& backend, TableId id) {
  auto begun = backend.begin(id);
  if (begun) return (*begun)->observed();
  if (begun.error().kind == ErrorKind::kAbsent) return ObservedTable{};
  return begun.error();
}

bool plan_table(Backend& backend, State& state, TableState& table) {
  const auto observed = observe(backend, table.id);
  if (!observed) {
    say(to_string(table.id) + ": " + observed.error().message);
    return false;
  }
  const TablePlan plan = make_plan(table.id, *desired_of(state, table), *observed);
  if (plan.empty()) return true;
  print("# " + to_string(table.id) + ", for " + std::string(iptables_command(table.id.family)) +
        "-restore --noflush\n" + to_restore_text(plan));
  return true;
}

bool clean_up(Backend& backend) {
  bool clean = true;
  for (const TableId id : kTables) {
    const SyncReport report = sync_table(backend, id, {}, {}, {});
    const std::string where = std::string(backend.name()) + ", " + to_string(id);
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
  for (const std::string& warning : warnings_of(*state)) say(warning);
  BackendSlot slot(settings, TableCreation::kNever);
  const auto known = slot.look(std::chrono::steady_clock::now(), state->mode.mode, {});
  if (slot.backend() == nullptr) {
    say(known ? known->note : "no backend can be used here");
    return kExitFailed;
  }
  if (known && !known->note.empty()) say(known->note);
  bool complete = true;
  for (TableState& table : state->tables) {
    if (table.want == Want::kLeave) continue;
    complete = plan_table(*slot.backend(), *state, table) && complete;
  }
  return complete ? kExitDone : kExitFailed;
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
  const auto text = http_get(*endpoint, "/status", {});
  if (!text) {
    say(text.error().message);
    return kExitUsage;
  }
  print(*text);
  return text->starts_with("ready") ? kExitDone : kExitFailed;
}

}  // namespace nmanager
