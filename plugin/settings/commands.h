// The table of commands: operand, own flags, exit codes. The command line, `nmanager help`, the man
// page and the completions are generated from it. Pure.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "hooks/values/result.h"
#include "plugin/model/settings.h"

namespace nmanager::settings {

/// A flag that only some commands have.
struct CommandFlag {
  std::string_view flag;    // without the dashes
  char letter = 0;          // -o; 0: none
  std::string_view values;  // "text|json", "FILE"; empty: it takes no value
  std::string_view help;    // one sentence
  /// After an error the options are unchanged.
  std::function<Status(std::string_view text, CommandOptions& options)> set;
};

struct CommandDefinition {
  std::string_view name;
  Command command = Command::kRun;
  std::string_view operand;      // "NS/NAME"; in brackets: optional; empty: none
  std::string_view summary;      // one sentence
  std::string_view description;  // more sentences; may be empty
  std::vector<CommandFlag> flags;
  std::vector<std::pair<int, std::string_view>> exit_codes;
};

/// In display order. Constant.
[[nodiscard]] const std::vector<CommandDefinition>& command_definitions();

/// Null: unknown command.
[[nodiscard]] const CommandDefinition* find_command(std::string_view name);
[[nodiscard]] const CommandDefinition& definition_of(Command command);

}  // namespace nmanager::settings
