#include "plugin/settings/help.h"

#include "plugin/settings/definitions.h"

namespace nmanager::settings {

namespace {

std::string padded(std::string_view word, std::size_t width) {
  return std::string(word) + std::string(word.size() < width ? width - word.size() : 1, ' ');
}

/// Wrapped at blanks, each line indented.
std::string wrapped(std::string_view text, std::size_t indent) {
  constexpr std::size_t kWidth = 96;
  const std::string margin(indent, ' ');
  std::string result;
  std::string line = margin;
  while (!text.empty()) {
    const auto blank = text.find(' ');
    const std::string_view word = text.substr(0, blank);
    if (line.size() > indent && line.size() + 1 + word.size() > kWidth) {
      result += line + "\n";
      line = margin;
    }
    line += (line.size() > indent ? " " : "") + std::string(word);
    text = blank == std::string_view::npos ? std::string_view() : text.substr(blank + 1);
  }
  return result + line + "\n";
}

std::string setting_part(const SettingDefinition& definition, const Settings& defaults,
                         const Paint& paint) {
  const std::string value = definition.show(defaults);
  return "\n  " + paint.strong("--" + std::string(definition.flag)) + " " + definition.values +
         "\n      " + std::string(definition.help) +
         "\n      Environment: " + std::string(definition.env) +
         ". Default: " + (value.empty() ? "none" : value) +
         (definition.from_kube_proxy ? ", unless kube-proxy's files give it" : "") + ".\n";
}

}  // namespace

std::string help_text(const Paint& paint) {
  std::string text =
      "nmanager keeps the NMANAGER netfilter rules of a node in place beside kube-proxy.\n\n"
      "Usage: nmanager [COMMAND] [--FLAG VALUE ...]\n\n" +
      paint.strong("Commands:") + "\n";
  for (const CommandDefinition& command : command_definitions()) {
    text += "  " + paint.strong(std::string(command.name)) + padded("", 12 - command.name.size()) +
            std::string(command.summary) + "\n";
  }
  text +=
      "\n`nmanager help COMMAND` describes a command: its own flags and its exit codes.\n\n" +
      paint.strong("Settings:") +
      "\nEach is a flag of every command and a variable of the environment. A flag goes before "
      "the"
      "\nenvironment, that before kube-proxy's own files, these before the default; an empty value"
      "\nis not set.\n";
  const Settings defaults;
  for (const SettingDefinition& definition : setting_definitions()) {
    text += setting_part(definition, defaults, paint);
  }
  return text + "\n  -h, --help    this text\n  --version     the version\n";
}

std::string help_text(const CommandDefinition& command, const Paint& paint) {
  std::string text = "Usage: nmanager " + std::string(command.name);
  if (!command.operand.empty()) text += " " + std::string(command.operand);
  for (const CommandFlag& flag : command.flags) {
    text += " [--" + std::string(flag.flag) +
            (flag.values.empty() ? "" : " " + std::string(flag.values)) + "]";
  }
  text += "\n\n" + wrapped(command.summary, 0);
  if (!command.description.empty()) text += wrapped(command.description, 0);
  if (!command.flags.empty()) text += "\n" + paint.strong("Flags:") + "\n";
  for (const CommandFlag& flag : command.flags) {
    std::string name = flag.letter != 0 ? std::string("-") + flag.letter + ", " : std::string();
    name += "--" + std::string(flag.flag);
    text += "  " + paint.strong(name) +
            (flag.values.empty() ? "" : " " + std::string(flag.values)) + "\n" +
            wrapped(flag.help, 6);
  }
  text += "\n" + paint.strong("Exit codes:") + "\n";
  for (const auto& [code, meaning] : command.exit_codes) {
    text += "  " + std::to_string(code) + "  " + std::string(meaning) + "\n";
  }
  return text + "\nThe settings are flags too: `nmanager help` lists them.\n";
}

}  // namespace nmanager::settings
