// nmanager: command line, the real world put together, the end.
#include <malloc.h>
#include <unistd.h>

#include <cstdio>

#include "plugin/api/http_client.h"
#include "plugin/run/commands.h"
#include "plugin/run/loop.h"
#include "plugin/run/real_kernel.h"
#include "plugin/run/real_neighbours.h"
#include "plugin/run/real_output.h"
#include "plugin/run/real_process.h"
#include "plugin/settings/definitions.h"
#include "plugin/settings/load.h"

namespace nmanager::run {
namespace {

/// As Kubernetes' own clients name themselves.
constexpr const char* kUserAgent =
    "nmanager/" NMANAGER_VERSION " (linux/" NMANAGER_ARCH ") " NMANAGER_REVISION;

using Level = reconciler::LogLine::Level;

/// Ends the process: a thread of the HTTP library may hang in name resolution for ten seconds, and
/// one that writes the log for as long as nobody reads it. Neither is waited for.
[[noreturn]] void end_process(int code, RealOutput& output) {
  output.flush(std::chrono::milliseconds(500));
  std::fflush(stdout);
  ::_exit(code);
}

[[noreturn]] void run(const Settings& own, const World& world, RealOutput& output) {
  ::mallopt(M_ARENA_MAX, 1);  // threads that allocate little: one heap, given back after peaks
  api::start_http_library();
  Mailbox<Event> mailbox;
  Loop loop(own, NMANAGER_VERSION, world, mailbox);
  output.log(Level::kInfo,
             "nmanager " NMANAGER_VERSION " starts: " + settings::settings_line(loop.settings()));
  for (const std::string& note : loop.settings().notes) output.log(Level::kWarning, note);
  loop.run();
  output.log(Level::kInfo, "stops; the rules stay");
  end_process(kExitDone, output);
}

int dispatch(const Settings& own) {
  switch (own.command) {
    case Command::kHelp:
      std::fputs(settings::help_text().c_str(), stdout);
      return kExitDone;
    case Command::kVersion:
      std::puts("nmanager " NMANAGER_VERSION " (revision " NMANAGER_REVISION ")");
      return kExitDone;
    case Command::kStatus:
      return status_command(own);
    default:
      break;
  }
  RealProcess process;  // first: signals are blocked before any thread starts
  RealKernel kernel([&process] { return process.stop_requested(); });
  RealKubeProxy kube_proxy;
  RealApiServer api_server(kUserAgent);
  RealOutput output(own, process.now().mono);
  const World world{kernel, kube_proxy, api_server, output, process};
  if (own.command == Command::kRun) run(own, world, output);
  if (own.command == Command::kCleanup) end_process(cleanup_command(own, world), output);
  api::start_http_library();
  end_process(plan_command(own, world), output);
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
