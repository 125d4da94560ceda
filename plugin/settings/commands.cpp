#include "plugin/settings/commands.h"

#include <algorithm>

#include "plugin/settings/parse.h"

namespace nmanager::settings {

namespace {

using Exits = std::vector<std::pair<int, std::string_view>>;

CommandFlag output_flag() {
  return {"output", 'o', "text|json", "Text for people, or JSON with a documented schema.",
          [](std::string_view text, CommandOptions& options) -> Status {
            if (text != "text" && text != "json") {
              return Error{ErrorKind::kBadInput, in_quotes(text) + " is none of text|json"};
            }
            options.output = text == "json" ? OutputFormat::kJson : OutputFormat::kText;
            return {};
          }};
}

CommandFlag services_flag() {
  return {"services", 0, "FILE",
          "Services from what `kubectl get services -A -o json` (or yaml) printed, instead of the "
          "API; - is standard input.",
          [](std::string_view text, CommandOptions& options) -> Status {
            options.services_file = text;
            return {};
          }};
}

CommandFlag duration_flag() {
  return {"for", 0, "DURATION", "How long to watch, such as 30s or 5m; 1m unless given.",
          [](std::string_view text, CommandOptions& options) -> Status {
            const auto duration = parse_duration(text);
            if (!duration) return duration.error();
            options.watch_for = *duration;
            return {};
          }};
}

CommandFlag switch_flag(std::string_view flag, char letter, std::string_view help,
                        bool CommandOptions::*member) {
  return {flag, letter, "", help, [member](std::string_view, CommandOptions& options) -> Status {
            options.*member = true;
            return {};
          }};
}

std::vector<CommandDefinition> keeping_commands() {
  return {
      {"run",
       Command::kRun,
       "",
       "Keep the rules in place (the default without a terminal).",
       "On SIGTERM the rules stay, so that an update opens no gap. On a terminal, `nmanager` "
       "without any argument prints the help instead.",
       {},
       Exits{{0, "stopped by a signal"}, {2, "bad usage or settings"}}},
      {"plan",
       Command::kPlan,
       "",
       "Print what run would change now; change nothing.",
       "The text is for iptables-restore --noflush, or nft -f with the backend nftables. It "
       "decides as run does: it asks kube-proxy, and lists Services where they are needed.",
       {services_flag()},
       Exits{{0, "printed"}, {1, "something could not be read"}, {2, "bad usage or settings"}}},
      {"cleanup",
       Command::kCleanup,
       "",
       "Remove every rule of nmanager from every backend, and nothing else.",
       "It refuses while another nmanager runs here, which would put the rules back.",
       {},
       Exits{{0, "removed"},
             {1, "something remains, or could not be read"},
             {2, "bad usage or settings"}}},
  };
}

std::vector<CommandDefinition> asking_commands() {
  return {
      {"status",
       Command::kStatus,
       "",
       "Print what the running process reports: the three cures first, then what is wrong.",
       "It asks the process at --listen. The text is coloured on a terminal, unless NO_COLOR is "
       "set.",
       {output_flag(),
        switch_flag("settings", 0, "Every setting too, with where its value came from.",
                    &CommandOptions::show_settings),
        switch_flag("verbose", 'v', "The same as --settings.", &CommandOptions::show_settings)},
       Exits{{0, "ready"},
             {1, "not ready"},
             {2, "bad usage or settings"},
             {3, "no process answers"}}},
      {"explain",
       Command::kExplain,
       "[NS/NAME]",
       "Say which rules a Service has, or the one reason why it has none.",
       "It asks the running process at --listen; without one it looks by itself, as plan does. "
       "With --skipped the operand is a reason, or is left out for all of them.",
       {output_flag(), services_flag(),
        switch_flag("skipped", 0, "List the Services that have no rules, by reason.",
                    &CommandOptions::skipped)},
       Exits{{0, "it has rules; with --skipped: listed"},
             {1, "it has none"},
             {2, "bad usage or settings"},
             {3, "it could not be found out"}}},
      {"diagnose",
       Command::kDiagnose,
       "",
       "Determine which of the three problems this node has, and what they affect.",
       "It needs no nmanager that runs, and leaves nothing behind: it reads conntrack, watches "
       "the RSTs that pass, asks kube-proxy, and lists Services where they matter. What it may "
       "not see without CAP_NET_ADMIN or CAP_NET_RAW it names.",
       {duration_flag(), output_flag(),
        switch_flag("probe", 0,
                    "Connect from this node to each external address of the Services that problem "
                    "2 may hit.",
                    &CommandOptions::probe),
        services_flag()},
       Exits{{0, "none of the problems was seen"},
             {1, "at least one was seen"},
             {2, "could not tell; also bad usage or settings"}}},
      {"completion",
       Command::kCompletion,
       "bash|zsh|fish",
       "Print the completions for a shell.",
       "",
       {},
       Exits{{0, "printed"}, {2, "bad usage"}}},
      {"help",
       Command::kHelp,
       "[COMMAND]",
       "Print this text, or that of a command.",
       "",
       {switch_flag("man", 0, "All of it as a manual page (troff).", &CommandOptions::manual)},
       Exits{{0, "printed"}, {2, "bad usage"}}},
      {"version",
       Command::kVersion,
       "",
       "Print the version.",
       "",
       {},
       Exits{{0, "printed"}, {2, "bad usage"}}},
  };
}

}  // namespace

const std::vector<CommandDefinition>& command_definitions() {
  static const std::vector<CommandDefinition> all = [] {
    auto definitions = keeping_commands();
    auto more = asking_commands();
    std::ranges::move(more, std::back_inserter(definitions));
    return definitions;
  }();
  return all;
}

const CommandDefinition* find_command(std::string_view name) {
  const auto& all = command_definitions();
  const auto found = std::ranges::find_if(all, [&](const auto& one) { return one.name == name; });
  return found == all.end() ? nullptr : &*found;
}

const CommandDefinition& definition_of(Command command) {
  return *std::ranges::find_if(command_definitions(),
                               [&](const auto& one) { return one.command == command; });
}

}  // namespace nmanager::settings
