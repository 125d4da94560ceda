#include "plugin/settings/load.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <map>
#include <vector>

#include "plugin/model/explanation.h"
#include "plugin/settings/commands.h"
#include "plugin/settings/definitions.h"
#include "plugin/settings/help.h"
#include "plugin/settings/merge.h"
#include "plugin/settings/parse.h"

namespace nmanager::settings {

namespace {

/// The words of the command line, before their values are parsed.
struct CommandLine {
  std::vector<std::vector<std::string>> values;                  // by definition
  std::map<std::string_view, std::vector<std::string>> options;  // the command's own, by flag
  std::vector<std::string> extras;
  std::string lacks_value;  // the last flag, if its value is missing
  bool help = false;
  bool version = false;
  const CommandDefinition* command = nullptr;
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

/// A flag of some command that takes a value.
bool is_command_flag(std::string_view word) {
  return std::ranges::any_of(command_definitions(), [&](const CommandDefinition& command) {
    return std::ranges::any_of(command.flags, [&](const CommandFlag& flag) {
      if (flag.values.empty()) return false;
      return flag.flag == word.substr(2) || (word.size() == 2 && word[1] == flag.letter);
    });
  });
}

bool is_known_flag(std::string_view word) {
  if (word.size() < 2 || !word.starts_with("-")) return false;  // "-" is standard input
  const auto& definitions = setting_definitions();
  return is_command_flag(word) ||
         (word.starts_with("--") && std::ranges::any_of(definitions, [&](const auto& definition) {
            return definition.flag == word.substr(2);
          }));
}

/// Removes words at which CLI11 would stop: flags with an empty value, which are treated as not
/// set, and a last flag without its value. (Any other flag takes the next word as its value.)
void prepare(std::vector<std::string>& words, CommandLine& line) {
  std::erase_if(words, [](const std::string& word) {
    return word.ends_with('=') && is_known_flag(word.substr(0, word.size() - 1));
  });
  if (words.empty() || !is_known_flag(words.back())) return;
  line.lacks_value = words.back();
  words.pop_back();
}

void add_command(CLI::App& app, const CommandDefinition& definition, CommandLine& line) {
  CLI::App* command = app.add_subcommand(std::string(definition.name));
  command->set_help_flag();
  command->fallthrough();
  command->allow_extras();
  command->callback([&line, &definition] { line.command = &definition; });
  for (const CommandFlag& flag : definition.flags) {
    std::string name = "--" + std::string(flag.flag);
    if (flag.letter != 0) name += std::string(",-") + flag.letter;
    const auto take = [&line, flag](const std::vector<std::string>& values) {
      line.options[flag.flag] = values;
      return true;
    };
    if (flag.values.empty()) {
      command->add_flag_function(name, [take](std::int64_t count) {
        take(std::vector<std::string>(static_cast<std::size_t>(count > 0 ? 1 : 0)));
      });
      continue;
    }
    command->add_option(name, take)
        ->expected(1)
        ->allow_extra_args(false)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  }
}

/// CLI11 splits the line; it is set to accept everything, so that it does not stop at the first
/// problem. May throw CLI::Error.
CommandLine split(int argc, const char* const* argv) {
  CommandLine line;
  const auto& definitions = setting_definitions();
  std::vector<std::string> words(argv + std::min(argc, 1), argv + argc);
  prepare(words, line);
  std::reverse(words.begin(), words.end());  // as CLI::App::parse expects
  line.values.resize(definitions.size());
  CLI::App app;
  app.set_help_flag();
  app.allow_extras();
  app.add_flag("-h,--help", line.help);
  app.add_flag("--version", line.version);
  for (std::size_t i = 0; i < definitions.size(); ++i) {
    app.add_option("--" + std::string(definitions[i].flag), line.values[i])
        ->expected(1)
        ->allow_extra_args(false)  // otherwise '[a,b]' would become two values
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  }
  app.require_subcommand(0, 1);
  for (const CommandDefinition& definition : command_definitions()) {
    add_command(app, definition, line);
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
    // A malformed value is reported even if a flag overrides it.
    Settings scratch;
    Settings& target = definition.origin(settings) == Origin::kFlag ? scratch : settings;
    const Status set = definition.set(found->second, Origin::kEnvironment, target);
    if (!set) problems.add(found->first + ": " + set.error().message);
  }
}

void take_options(const CommandLine& line, Settings& settings, Problems& problems) {
  if (line.command == nullptr) return;
  for (const CommandFlag& flag : line.command->flags) {
    const auto given = line.options.find(flag.flag);
    if (given == line.options.end() || given->second.empty()) continue;
    const std::string name = "--" + std::string(flag.flag);
    if (given->second.size() > 1) problems.add(name + " is given more than once");
    const Status set = flag.set(given->second.front(), settings.options);
    if (!set) problems.add(name + ": " + set.error().message);
  }
}

/// Removes the operand from the extras.
void take_operand(CommandLine& line, Settings& settings, Problems& problems) {
  if (line.command == nullptr || line.command->operand.empty()) return;
  const auto operand = std::ranges::find_if(
      line.extras, [](const std::string& word) { return !word.starts_with("-"); });
  if (operand != line.extras.end()) {
    settings.options.operand = *operand;
    line.extras.erase(operand);
  } else if (!line.command->operand.starts_with("[")) {
    problems.add(std::string(line.command->name) + " needs " + std::string(line.command->operand));
  }
}

/// Checks the operand.
void check_operand(const Settings& settings, Problems& problems) {
  const CommandOptions& options = settings.options;
  if (settings.command == Command::kHelp && !options.operand.empty() &&
      find_command(options.operand) == nullptr) {
    problems.add("there is no command " + in_quotes(options.operand));
  }
  if (settings.command == Command::kCompletion && !options.operand.empty() &&
      !completion(options.operand)) {
    problems.add("there are completions for bash, zsh and fish, not " + in_quotes(options.operand));
  }
  if (settings.command != Command::kExplain) return;
  if (options.skipped) {
    if (options.operand.empty() || skip_reason(options.operand)) return;
    std::string known;
    for (const SkipReason reason : kSkipReasons) known += " " + std::string(to_string(reason));
    problems.add(in_quotes(options.operand) + " is none of the reasons:" + known);
  } else if (!is_service_key(options.operand)) {
    problems.add(options.operand.empty()
                     ? "explain needs NAMESPACE/NAME of a Service, or --skipped"
                     : in_quotes(options.operand) + " is not NAMESPACE/NAME of a Service");
  }
}

void take_extras(const CommandLine& line, Problems& problems) {
  for (const std::string& extra : line.extras) {
    problems.add((extra.starts_with("-") ? "unknown flag " : "unknown command or argument ") +
                 in_quotes(extra));
  }
}

}  // namespace

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
    if (line.help && line.command != nullptr) settings.options.operand = line.command->name;
    return settings;
  }
  settings.command = line.command == nullptr ? Command::kRun : line.command->command;
  take_options(line, settings, problems);
  if (!line.lacks_value.empty()) problems.add(line.lacks_value + " has no value behind it");
  take_operand(line, settings, problems);
  check_operand(settings, problems);
  take_extras(line, problems);
  if (!line.values.empty()) take_flags(line, settings, problems);
  take_environment(environment, settings, problems);
  if (!problems.empty()) return problems.error();
  for (Warning& warning : unknown_variables(environment)) {
    settings.notes.push_back(std::move(warning));
  }
  return settings;
}

Result<Settings> load_settings(int argc, const char* const* argv, const Environment& environment) {
  auto own = parse_settings(argc, argv, environment);
  if (!own || own->command == Command::kHelp || own->command == Command::kVersion) return own;
  return merge_kube_proxy_files(*own, read_kube_proxy_files(*own));
}

}  // namespace nmanager::settings
