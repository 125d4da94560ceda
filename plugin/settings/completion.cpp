// Completions for shells: commands, their flags and operands, and the settings' flags.
#include <algorithm>
#include <vector>

#include "plugin/settings/definitions.h"
#include "plugin/settings/help.h"

namespace nmanager::settings {

namespace {

/// A flag with the values that may follow it.
struct FlagWord {
  std::string flag;  // "--listen"
  std::string help;
  std::string values;  // as in the tables; empty: it has no value
};

/// "a|b|c" -> a b c; empty: not a choice of words.
std::vector<std::string> choices(std::string_view values) {
  std::vector<std::string> words;
  if (values.find('|') == std::string_view::npos) return words;
  while (true) {
    const auto bar = values.find('|');
    words.emplace_back(values.substr(0, bar));
    if (bar == std::string_view::npos) return words;
    values.remove_prefix(bar + 1);
  }
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

std::string without(std::string text, std::string_view characters) {
  std::erase_if(text, [&](char c) { return characters.find(c) != std::string_view::npos; });
  return text;
}

std::vector<FlagWord> setting_words() {
  std::vector<FlagWord> words{{"--help", "Print the help.", ""},
                              {"--version", "Print the version.", ""}};
  words.reserve(words.size() + setting_definitions().size());
  for (const SettingDefinition& definition : setting_definitions()) {
    words.push_back(
        {"--" + std::string(definition.flag), std::string(definition.help), definition.values});
  }
  return words;
}

std::vector<FlagWord> words_of(const CommandDefinition& command) {
  std::vector<FlagWord> words;
  words.reserve(command.flags.size());
  for (const CommandFlag& flag : command.flags) {
    words.push_back(
        {"--" + std::string(flag.flag), std::string(flag.help), std::string(flag.values)});
  }
  return words;
}

std::string names_of_commands() {
  std::vector<std::string> names;
  names.reserve(command_definitions().size());
  for (const CommandDefinition& command : command_definitions()) names.emplace_back(command.name);
  return joined(names);
}

/// The words that may follow the command.
std::string operands_of(const CommandDefinition& command) {
  return command.command == Command::kHelp ? names_of_commands() : joined(choices(command.operand));
}

std::string flags_of(const std::vector<FlagWord>& words) {
  std::vector<std::string> flags;
  flags.reserve(words.size());
  for (const FlagWord& word : words) flags.push_back(word.flag);
  return joined(flags);
}

std::string bash_values(const std::vector<FlagWord>& words) {
  std::string text;
  for (const FlagWord& word : words) {
    const std::string values = joined(choices(word.values));
    const std::string action = word.values == "FILE"
                                   ? "COMPREPLY=($(compgen -f -- \"$cur\"))"
                                   : "COMPREPLY=($(compgen -W '" + values + "' -- \"$cur\"))";
    if (!word.values.empty()) text += "    " + word.flag + ") " + action + "; return ;;\n";
  }
  return text;
}

std::string bash() {
  std::vector<FlagWord> all = setting_words();
  std::string cases;
  for (const CommandDefinition& command : command_definitions()) {
    const std::vector<FlagWord> own = words_of(command);
    for (const FlagWord& word : own) {
      const bool known =
          std::ranges::any_of(all, [&](const FlagWord& one) { return one.flag == word.flag; });
      if (!known) all.push_back(word);
    }
    cases += "    " + std::string(command.name) + ") words='" + operands_of(command) + " " +
             flags_of(own) + "' ;;\n";
  }
  return "# bash completion for nmanager\n_nmanager() {\n  local cur=${COMP_WORDS[COMP_CWORD]} "
         "prev=${COMP_WORDS[COMP_CWORD-1]} words='" +
         names_of_commands() +
         "' word\n  case $prev in\n    -o) COMPREPLY=($(compgen -W 'text "
         "json' -- \"$cur\")); return ;;\n" +
         bash_values(all) +
         "  esac\n  for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n    case $word in\n" +
         cases +
         "    *) continue ;;\n    esac\n    break\n  done\n  COMPREPLY=($(compgen -W "
         "\"$words " +
         flags_of(setting_words()) + "\" -- \"$cur\"))\n}\ncomplete -F _nmanager nmanager\n";
}

/// One argument of _arguments (zshcompsys(1)).
std::string zsh_argument(const FlagWord& word) {
  std::string text = "'" + word.flag + "[" + without(word.help, "'[]:`\\") + "]";
  const std::string values = joined(choices(word.values));
  if (!values.empty()) {
    text += ":value:(" + values + ")";
  } else if (word.values == "FILE") {
    text += ":file:_files";
  } else if (!word.values.empty()) {
    text += ":" + without(word.values, "'[]:`\\") + ":";
  }
  return text + "'";
}

std::string zsh_arguments(const std::vector<FlagWord>& words) {
  std::string text;
  for (const FlagWord& word : words) text += " \\\n      " + zsh_argument(word);
  return text;
}

std::string zsh() {
  std::string commands;
  std::string cases;
  for (const CommandDefinition& command : command_definitions()) {
    commands += "    '" + std::string(command.name) + ":" +
                without(std::string(command.summary), "'`:") + "'\n";
    const std::string operands = operands_of(command);
    cases += "    " + std::string(command.name) + ") _arguments $settings" +
             zsh_arguments(words_of(command)) +
             (operands.empty() ? "" : " \\\n      '1:operand:(" + operands + ")'") + " ;;\n";
  }
  return "#compdef nmanager\n_nmanager() {\n  local -a commands settings\n  commands=(\n" +
         commands + "  )\n  settings=(" + zsh_arguments(setting_words()) +
         "\n  )\n  if ((CURRENT == 2)); then\n    _describe command commands\n    _arguments "
         "$settings\n    return\n  fi\n  shift words\n  ((CURRENT--))\n  case $words[1] in\n" +
         cases + "    *) _arguments $settings ;;\n  esac\n}\n_nmanager \"$@\"\n";
}

std::string fish_line(const std::string& condition, const FlagWord& word) {
  std::string text = "complete -c nmanager -n '" + condition + "' -l " + word.flag.substr(2);
  const std::string values = joined(choices(word.values));
  if (!values.empty()) {
    text += " -x -a '" + values + "'";
  } else if (word.values == "FILE") {
    text += " -r -F";
  } else if (!word.values.empty()) {
    text += " -x";
  }
  return text + " -d '" + without(word.help, "'\\") + "'\n";
}

std::string fish() {
  std::string text = "# fish completion for nmanager\ncomplete -c nmanager -f\n";
  const std::string none = "__fish_use_subcommand";
  for (const CommandDefinition& command : command_definitions()) {
    const std::string name(command.name);
    const std::string seen = "__fish_seen_subcommand_from " + name;
    text += "complete -c nmanager -n '" + none + "' -a " + name + " -d '" +
            without(std::string(command.summary), "'\\") + "'\n";
    const std::string operands = operands_of(command);
    if (!operands.empty()) {
      text += "complete -c nmanager -n '" + seen + "' -a '" + operands + "'\n";
    }
    for (const FlagWord& word : words_of(command)) text += fish_line(seen, word);
  }
  for (const FlagWord& word : setting_words()) text += fish_line("true", word);
  return text;
}

}  // namespace

std::optional<std::string> completion(std::string_view shell) {
  if (shell == "bash") return bash();
  if (shell == "zsh") return zsh();
  if (shell == "fish") return fish();
  return std::nullopt;
}

}  // namespace nmanager::settings
