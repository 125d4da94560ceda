// The manual page.
#include "plugin/settings/help.h"

#include "plugin/settings/definitions.h"

namespace nmanager::settings {

namespace {

/// Escapes the text of a paragraph: backslashes, hyphens of flags and a dot or quote at the start
/// of a line are special to troff (groff_man(7)).
std::string escaped(std::string_view text) {
  std::string result;
  if (text.starts_with('.') || text.starts_with('\'')) result = "\\&";
  for (const char c : text) {
    if (c == '\\') {
      result += "\\e";
    } else if (c == '-') {
      result += "\\-";
    } else if (c == '`') {
      result += "\\(ga";
    } else {
      result += c;
    }
  }
  return result;
}

std::string bold(std::string_view text) {
  return "\\fB" + escaped(text) + "\\fR";
}
std::string italic(std::string_view text) {
  return "\\fI" + escaped(text) + "\\fR";
}

std::string command_part(const CommandDefinition& command) {
  std::string text =
      ".SS " + escaped(command.name) + "\n" + bold("nmanager") + " " + bold(command.name);
  if (!command.operand.empty()) text += " " + italic(command.operand);
  text += "\n.PP\n" + escaped(command.summary) + "\n";
  if (!command.description.empty()) text += escaped(command.description) + "\n";
  for (const CommandFlag& flag : command.flags) {
    text += ".TP\n";
    if (flag.letter != 0) text += bold(std::string("-") + flag.letter) + ", ";
    text += bold("--" + std::string(flag.flag));
    if (!flag.values.empty()) text += " " + italic(flag.values);
    text += "\n" + escaped(flag.help) + "\n";
  }
  text += ".PP\nExit codes:\n";
  for (const auto& [code, meaning] : command.exit_codes) {
    text += ".TP\n" + bold(std::to_string(code)) + "\n" + escaped(meaning) + "\n";
  }
  return text;
}

}  // namespace

std::string manual_page(std::string_view version) {
  std::string text = ".TH NMANAGER 8 \"\" \"nmanager " + std::string(version) +
                     "\" \"System Administration\"\n"
                     ".SH NAME\nnmanager \\- keeps netfilter rules of a Kubernetes node in place "
                     "beside kube\\-proxy\n.SH SYNOPSIS\n" +
                     bold("nmanager") + " [" + italic("COMMAND") + "] [" + bold("--") +
                     italic("FLAG VALUE") + " ...]\n.SH COMMANDS\n";
  for (const CommandDefinition& command : command_definitions()) text += command_part(command);
  text +=
      ".SH SETTINGS\nEach is a flag of every command and a variable of the environment. A flag "
      "goes before the environment, that before kube\\-proxy's own files, these before the "
      "default; an empty value is not set.\n";
  const Settings defaults;
  for (const SettingDefinition& definition : setting_definitions()) {
    const std::string value = definition.show(defaults);
    text += ".TP\n" + bold("--" + std::string(definition.flag)) + " " + italic(definition.values) +
            "\n" + escaped(definition.help) + "\nEnvironment: " + bold(definition.env) +
            ". Default: " + escaped(value.empty() ? "none" : value) +
            (definition.from_kube_proxy ? ", unless kube\\-proxy's files give it" : "") + ".\n";
  }
  return text + ".SH ENVIRONMENT\n.TP\n" + bold("NO_COLOR") +
         "\nNo colours, also on a terminal.\n.TP\n" + bold("NODE_NAME") +
         "\nThe name of this node, for the check of its podCIDR.\n.SH SEE ALSO\n"
         "\\fBiptables\\fR(8), \\fBnft\\fR(8), \\fBconntrack\\fR(8)\n";
}

}  // namespace nmanager::settings
