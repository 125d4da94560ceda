// nmanager: command line, the parts put together, the end.
#include <malloc.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "hooks/sys/fd.h"
#include "plugin/api/http_client.h"
#include "plugin/run/commands.h"
#include "plugin/run/loop.h"
#include "plugin/run/neighbourhood.h"
#include "plugin/run/source_slot.h"
#include "plugin/settings/definitions.h"
#include "plugin/settings/load.h"
#include "plugin/settings/parse.h"
#include "plugin/status/log.h"
#include "plugin/status/server.h"

namespace nmanager::run {
namespace {

using Log = std::shared_ptr<spdlog::logger>;

/// SIGTERM and SIGINT as a readable descriptor; to be called before any thread starts.
sys::Fd stop_signals() {
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGTERM);
  ::sigaddset(&set, SIGINT);
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  return sys::Fd(::signalfd(-1, &set, SFD_CLOEXEC));
}

void complete(Snapshot& snapshot, const Neighbourhood& around, const SourceSlot& source) {
  snapshot.version = NMANAGER_VERSION;
  snapshot.settings = settings::effective_settings(around.settings());
  snapshot.proxy_version = around.kube_proxy_version().value_or("");
  for (const std::string& note : around.route_notes()) snapshot.warnings.push_back(note);
  if (!source.problem().empty()) {
    snapshot.warnings.push_back("access to the API server: " + source.problem());
  }
}

/// What the operator hears of settings that kube-proxy's files have changed.
void log_changes(const Log& log, const std::vector<SettingShown>& before,
                 const std::vector<SettingShown>& after) {
  for (std::size_t i = 0; i < before.size() && i < after.size(); ++i) {
    if (before[i].value == after[i].value && before[i].origin == after[i].origin) continue;
    log->info("setting {} is now {} ({}), was {} ({})", after[i].name,
              after[i].value.empty() ? "-" : after[i].value, after[i].origin,
              before[i].value.empty() ? "-" : before[i].value, before[i].origin);
  }
}

/// Tells the neighbourhood's news, and has the API client follow files that have changed.
std::vector<Event> look_around(Neighbourhood& around, SourceSlot& source, const Log& log,
                               std::optional<bool> kube_chains) {
  const auto before = settings::effective_settings(around.settings());
  auto events = around.look(kube_chains);
  if (!around.take_access_changed()) return events;
  log_changes(log, before, settings::effective_settings(around.settings()));
  const std::string problem = source.problem();
  if (source.follow(around.settings())) {
    log->info("the access to the API server has changed: Services are listed anew");
  } else if (!source.problem().empty() && source.problem() != problem) {
    log->warn("access to the API server: {}", source.problem());
  }
  return events;
}

int run(const Settings& own) {
  const sys::Fd stop = stop_signals();
  ::mallopt(M_ARENA_MAX, 1);  // threads that allocate little: one heap, given back after peaks
  api::start_http_library();
  Neighbourhood around(own);
  const Settings& settings = around.settings();
  const Log log = status::make_log(settings.log_level.value, settings.log_format.value);
  status::StatusBoard board(std::chrono::steady_clock::now());
  const auto listen = settings::parse_loopback_endpoint(settings.listen.value);
  if (!listen) {
    log->error("listen: {}", listen.error().message);
    return kExitUsage;
  }
  const auto server = status::StatusServer::start(listen->address, listen->port, board);
  if (!server) {
    log->error("{}", server.error().message);
    return kExitFailed;
  }
  log->info("nmanager {} starts: {}", NMANAGER_VERSION, settings::settings_line(settings));
  for (const std::string& note : settings.notes) log->warn("{}", note);

  Mailbox<Event> mailbox;
  SourceSlot source(mailbox);
  LoopHooks hooks;
  hooks.publish = [&](Snapshot snapshot) {
    complete(snapshot, around, source);
    board.publish(std::make_shared<const Snapshot>(std::move(snapshot)));
  };
  hooks.beat = [&] { board.beat(std::chrono::steady_clock::now()); };
  hooks.ask_kube_proxy = [&] { around.ask_kube_proxy(); };
  hooks.look_around = [&](std::optional<bool> kube) {
    return look_around(around, source, log, kube);
  };
  hooks.wake_fds = around.fds();
  around.start_probe();
  (void)source.follow(settings);  // what goes wrong is in the mailbox
  Loop(settings, mailbox, log, std::move(hooks)).run(stop.get());
  log->info("stops; the rules stay");
  return kExitDone;
}

int dispatch(const Settings& settings) {
  switch (settings.command) {
    case Command::kHelp:
      std::fputs(settings::help_text().c_str(), stdout);
      return kExitDone;
    case Command::kVersion:
      std::puts("nmanager " NMANAGER_VERSION);
      return kExitDone;
    case Command::kPlan:
      return plan_command(settings);
    case Command::kStatus:
      return status_command(settings);
    case Command::kCleanup:
      return cleanup_command(settings);
    case Command::kRun:
      break;
  }
  // A thread of the HTTP library may hang in name resolution for ten seconds: not waited for.
  const int code = run(settings);
  std::fflush(nullptr);
  ::_exit(code);
}

}  // namespace
}  // namespace nmanager::run

int main(int argc, char** argv) {
  const auto settings = nmanager::settings::parse_settings(
      argc, argv, nmanager::settings::environment_from(::environ));
  if (!settings) {
    std::fprintf(stderr, "nmanager: %s\n", settings.error().message.c_str());
    return nmanager::run::kExitUsage;
  }
  return nmanager::run::dispatch(*settings);
}
