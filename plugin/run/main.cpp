// nmanager: command line, construction of the real world, end of the process.
#include <malloc.h>
#include <unistd.h>

#include <cstdio>

#include "plugin/api/http_client.h"
#include "plugin/run/ask_commands.h"
#include "plugin/run/commands.h"
#include "plugin/run/diagnose_command.h"
#include "plugin/run/loop.h"
#include "plugin/run/real_kernel.h"
#include "plugin/run/real_neighbours.h"
#include "plugin/run/real_output.h"
#include "plugin/run/real_process.h"
#include "plugin/run/terminal.h"
#include "plugin/settings/definitions.h"
#include "plugin/settings/help.h"
#include "plugin/settings/load.h"

namespace nmanager::run {
namespace {

/// In the form of Kubernetes' own clients.
constexpr const char* kUserAgent =
    "nmanager/" NMANAGER_VERSION " (linux/" NMANAGER_ARCH ") " NMANAGER_REVISION;

using Level = reconciler::LogLine::Level;

/// Ends the process without waiting for its threads: one of the HTTP library may block in name
/// resolution for ten seconds, and the log's writer while no process reads standard error.
[[noreturn]] void end_process(int code, RealOutput& output) {
  output.flush(std::chrono::milliseconds(500));
  std::fflush(stdout);
  ::_exit(code);
}

[[noreturn]] void run(const Settings& own, const World& world, RealOutput& output,
                      Mailbox<Event>& mailbox) {
  ::mallopt(M_ARENA_MAX, 1);  // threads allocate little: one heap, trimmed after peaks
  api::start_http_library();
  Loop loop(own, NMANAGER_VERSION, world, mailbox);
  output.log(Level::kInfo,
             "nmanager " NMANAGER_VERSION " starts: " + settings::settings_line(loop.settings()));
  for (const std::string& remark : loop.settings().remarks) output.log(Level::kInfo, remark);
  for (const Warning& note : loop.settings().notes) output.log(Level::kWarning, note.text);
  loop.run();
  output.log(Level::kInfo, "stops; the rules stay");
  end_process(kExitDone, output);
}

int help(const Settings& own) {
  const Paint paint(wants_colour());
  std::string text;
  if (own.options.manual) {
    text = settings::manual_page(NMANAGER_VERSION);
  } else if (const auto* command = settings::find_command(own.options.operand)) {
    text = settings::help_text(*command, paint);
  } else {
    text = settings::help_text(paint);
  }
  print(text);
  return kExitDone;
}

int dispatch(const Settings& own) {
  switch (own.command) {
    case Command::kHelp:
      return help(own);
    case Command::kVersion:
      std::puts("nmanager " NMANAGER_VERSION " (revision " NMANAGER_REVISION ")");
      return kExitDone;
    case Command::kCompletion:
      print(settings::completion(own.options.operand).value_or(""));
      return kExitDone;
    case Command::kStatus:
      return status_command(own);
    default:
      break;
  }
  RealProcess process;  // first: signals are blocked before any thread starts
  Mailbox<Event> mailbox;
  RealKernel kernel([&process] { return process.stop_requested(); });
  RealKubeProxy kube_proxy;
  RealApiServer api_server(kUserAgent);
  RealOutput output(own, process.now().mono, [&mailbox] { mailbox.post(Tick{}); });
  const World world{kernel, kube_proxy, api_server, output, process};
  if (own.command == Command::kRun) run(own, world, output, mailbox);
  if (own.command == Command::kCleanup) end_process(cleanup_command(own, world), output);
  api::start_http_library();
  if (own.command == Command::kExplain) end_process(explain_command(own, world), output);
  if (own.command == Command::kDiagnose) end_process(diagnose_command(own, world), output);
  end_process(plan_command(own, world), output);
}

}  // namespace
}  // namespace nmanager::run

int main(int argc, char** argv) {
  if (argc == 1 && nmanager::run::at_a_terminal()) {
    nmanager::run::print(
        nmanager::settings::help_text(nmanager::Paint(nmanager::run::wants_colour())));
    return nmanager::run::kExitDone;
  }
  const auto settings = nmanager::settings::parse_settings(
      argc, argv, nmanager::settings::environment_from(::environ));
  if (!settings) {
    std::fprintf(stderr, "nmanager: %s\n", settings.error().message.c_str());
    return nmanager::run::kExitUsage;
  }
  return nmanager::run::dispatch(*settings);
}
