#include "plugin/settings/load.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cctype>
#include <vector>

#include "plugin/settings/definitions.h"
#include "plugin/settings/merge.h"
#include "plugin/settings/parse.h"

namespace nmanager::settings {

namespace {

struct CommandName {
  std::string_view name;
  Command command;
  std::string_view help;
};
constexpr std::array kCommands{
    CommandName{"run", Command::kRun, "Keep the rules in their place (this is the default)."},
    CommandName{
        "plan", Command::kPlan,
        "Print what would change, as iptables-restore text; --services FILE takes a recorded "
        "ServiceList instead of the API."},
    CommandName{"status", Command::kStatus,
                "Print what the running process reports; the exit code tells whether it is ready."},
    CommandName{"cleanup", Command::kCleanup, "Take every rule of ours away, and nothing else."},
    CommandName{"version", Command::kVersion, "Print the version."}};

/// What the command line holds, before any of it is understood.
struct CommandLine {
  std::vector<std::vector<std::string>> values;  // by definition
  std::vector<std::string> services;
  std::vector<std::string> extras;
  std::string lacks_value;  // the last flag, when nothing follows it
  bool help = false;
  bool version = false;
  std::optional<Command> command;
};

class Problems {
 public:
  void add(std::string problem) { all_.push_back(std::move(problem)); }
  [[nodiscard]] bool empty() const { return all_.empty(); }
  [[nodiscard]] Error error() const {
    std::string message = all_.size() == 1
                              ? "a problem in the settings: "
                              : std::to_string(all_.size()) + " problems in the settings: ";
    for (std::size_t i = 0; i < all_.size(); ++i) message += (i == 0 ? "" : "; ") + all_[i];
    return {ErrorKind::kBadInput, std::move(message)};
  }

 private:
  std::vector<std::string> all_;
};

bool is_known_flag(std::string_view word) {
  const auto& definitions = setting_definitions();
  return word == "--services" ||
         (word.starts_with("--") &&
          std::any_of(definitions.begin(), definitions.end(),
                      [&](const auto& definition) { return definition.flag == word.substr(2); }));
}

/// Takes out what CLI11 would stop at: flags with an empty value, which count as not set, and a
/// last one that waits for its value. (A flag elsewhere takes the next word, whatever it is.)
void prepare(std::vector<std::string>& words, CommandLine& line) {
  std::erase_if(words, [](const std::string& word) {
    return word.ends_with('=') && is_known_flag(word.substr(0, word.size() - 1));
  });
  if (words.empty() || !is_known_flag(words.back())) return;
  line.lacks_value = words.back();
  words.pop_back();
}

/// CLI11 splits the line; it is told to accept everything, so that it does not stop at the first
/// problem. May throw CLI::Error.
CommandLine split(int argc, const char* const* argv) {
  CommandLine line;
  const auto& definitions = setting_definitions();
  std::vector<std::string> words(argv + std::min(argc, 1), argv + argc);
  prepare(words, line);
  std::reverse(words.begin(), words.end());  // as CLI::App::parse wants them
  line.values.resize(definitions.size());
  CLI::App app;
  app.set_help_flag();
  app.allow_extras();
  app.add_flag("-h,--help", line.help);
  app.add_flag("--version", line.version);
  for (std::size_t i = 0; i < definitions.size(); ++i) {
    app.add_option("--" + std::string(definitions[i].flag), line.values[i])
        ->expected(1)
        ->allow_extra_args(false)  // else '[a,b]' would become two values
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  }
  app.require_subcommand(0, 1);
  for (const CommandName& name : kCommands) {
    CLI::App* command = app.add_subcommand(std::string(name.name));
    command->set_help_flag();
    command->fallthrough();
    command->allow_extras();
    command->callback([&line, name] { line.command = name.command; });
    if (name.command == Command::kPlan) {
      command->add_option("--services", line.services)
          ->expected(1)
          ->allow_extra_args(false)
          ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    }
  }
  app.parse(std::move(words));
  line.extras = app.remaining(true);
  return line;
}

void take_flags(const CommandLine& line, Settings& settings, Problems& problems) {
  const auto& definitions = setting_definitions();
  for (std::size_t i = 0; i < definitions.size(); ++i) {
    const auto& values = line.values[i];
    const std::string flag = "--" + std::string(definitions[i].flag);
    if (values.size() > 1)
      problems.add(flag + " is given " + std::to_string(values.size()) + " times");
    if (values.size() != 1 || values.front().empty()) continue;
    const Status set = definitions[i].set(values.front(), Origin::kFlag, settings);
    if (!set) problems.add(flag + ": " + set.error().message);
  }
}

void take_environment(const Environment& environment, Settings& settings, Problems& problems) {
  for (const SettingDefinition& definition : setting_definitions()) {
    const auto found = environment.find(std::string(definition.env));
    if (found == environment.end() || found->second.empty()) continue;
    // A malformed value is told even where a flag overrides it: somebody believes in it.
    Settings scratch;
    Settings& target = definition.origin(settings) == Origin::kFlag ? scratch : settings;
    const Status set = definition.set(found->second, Origin::kEnvironment, target);
    if (!set) problems.add(found->first + ": " + set.error().message);
  }
}

bool ends_like_service_variable(std::string_view name) {
  // NAME_PORT_80_TCP, NAME_PORT_80_TCP_ADDR and so on.
  for (const std::string_view suffix : {"_PROTO", "_PORT", "_ADDR"}) {
    if (name.ends_with(suffix)) {
      name.remove_suffix(suffix.size());
      break;
    }
  }
  for (const std::string_view protocol : {"_TCP", "_UDP", "_SCTP"}) {
    if (!name.ends_with(protocol)) continue;
    name.remove_suffix(protocol.size());
    const auto digits = name.find_last_not_of("0123456789");
    return digits != std::string_view::npos && digits + 1 < name.size() &&
           name.substr(0, digits + 1).ends_with("_PORT_");
  }
  return false;
}

/// The kubelet describes each Service of the pod's namespace in the environment (Kubernetes
/// documentation, "Service / Discovering services / Environment variables").
bool made_by_kubernetes(const std::string& name, const std::string& value) {
  if (name.ends_with("_SERVICE_HOST") || name.find("_SERVICE_PORT") != std::string::npos)
    return true;
  if (name.ends_with("_PORT")) {
    for (const std::string_view scheme : {"tcp://", "udp://", "sctp://"}) {
      if (value.starts_with(scheme)) return true;
    }
  }
  return ends_like_service_variable(name);
}

void find_unknown_variables(const Environment& environment, Problems& problems) {
  const auto& definitions = setting_definitions();
  for (const auto& variable : environment) {
    const auto& name = variable.first;
    const auto& value = variable.second;
    if (!name.starts_with("NMANAGER_") || made_by_kubernetes(name, value)) continue;
    const bool known = std::any_of(definitions.begin(), definitions.end(),
                                   [&](const auto& definition) { return definition.env == name; });
    if (!known) problems.add("unknown variable " + in_quotes(name));
  }
}

void take_extras(const CommandLine& line, Problems& problems) {
  for (const std::string& extra : line.extras) {
    problems.add((extra.starts_with("-") ? "unknown flag " : "unknown command or argument ") +
                 in_quotes(extra));
  }
}

std::string one_line(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

}  // namespace

Environment environment_from(const char* const* environ_array) {
  Environment environment;
  for (; environ_array != nullptr && *environ_array != nullptr; ++environ_array) {
    const std::string_view entry = *environ_array;
    const auto equals = entry.find('=');
    if (equals == std::string_view::npos) continue;
    environment.emplace(entry.substr(0, equals), entry.substr(equals + 1));
  }
  return environment;
}

Result<Settings> parse_settings(int argc, const char* const* argv, const Environment& environment) {
  Problems problems;
  CommandLine line;
  try {
    line = split(argc, argv);
  } catch (const std::exception& error) {
    problems.add(one_line(error.what()));
  }
  Settings settings;
  if (line.help || line.version) {
    settings.command = line.help ? Command::kHelp : Command::kVersion;
    return settings;
  }
  settings.command = line.command.value_or(Command::kRun);
  if (line.services.size() > 1) problems.add("--services is given more than once");
  if (!line.services.empty()) settings.services_file = line.services.front();
  if (!line.lacks_value.empty()) problems.add(line.lacks_value + " has no value behind it");
  take_extras(line, problems);
  if (!line.values.empty()) take_flags(line, settings, problems);
  take_environment(environment, settings, problems);
  find_unknown_variables(environment, problems);
  if (!problems.empty()) return problems.error();
  return settings;
}

Result<Settings> load_settings(int argc, const char* const* argv, const Environment& environment) {
  auto own = parse_settings(argc, argv, environment);
  if (!own || own->command == Command::kHelp || own->command == Command::kVersion) return own;
  return merge_kube_proxy_files(*own, read_kube_proxy_files(*own));
}

std::string help_text() {
  std::string text =
      "nmanager keeps the NMANAGER netfilter chains of a node in their place beside kube-proxy.\n\n"
      "Usage: nmanager [COMMAND] [--FLAG VALUE ...]\n\nCommands:\n";
  const auto padded = [](std::string_view word, std::size_t width) {
    return std::string(word) + std::string(word.size() < width ? width - word.size() : 1, ' ');
  };
  for (const CommandName& name : kCommands) {
    text += "  " + padded(name.name, 9) + std::string(name.help) + "\n";
  }
  text +=
      "\nEach setting is a flag or a variable of the environment. A flag goes before the "
      "environment,"
      "\nthat before kube-proxy's own files, these before the default; an empty value is not "
      "set.\n";
  const Settings defaults;
  for (const SettingDefinition& definition : setting_definitions()) {
    const std::string value = definition.show(defaults);
    text += "\n  --" + std::string(definition.flag) + " " + definition.values + "\n      " +
            std::string(definition.help) + "\n      Environment: " + std::string(definition.env) +
            ". Default: " + (value.empty() ? "none" : value) +
            (definition.from_kube_proxy ? ", unless kube-proxy's files tell it" : "") + ".\n";
  }
  return text + "\n  -h, --help    this text\n  --version     the version\n";
}

}  // namespace nmanager::settings
