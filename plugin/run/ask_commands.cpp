#include "plugin/run/ask_commands.h"

#include <string>
#include <string_view>

#include "plugin/neighbour/http_get.h"
#include "plugin/reconciler/explain.h"
#include "plugin/run/commands.h"
#include "plugin/run/terminal.h"
#include "plugin/status/render.h"

namespace nmanager::run {

namespace {

/// Without leading escape sequences (ECMA-48).
std::string_view plain(std::string_view line) {
  while (line.starts_with('\x1b')) {
    const auto end = line.find('m');
    if (end == std::string_view::npos) break;
    line.remove_prefix(end + 1);
  }
  return line;
}

bool as_json(const Settings& settings) {
  return settings.options.output == OutputFormat::kJson;
}

std::string status_target(const Settings& settings) {
  if (as_json(settings)) return "/status?json";
  std::string target = "/status";
  if (settings.options.show_settings) target += "?settings";
  if (wants_colour()) target += settings.options.show_settings ? "&colour" : "?colour";
  return target;
}

/// Both words need no escaping in a URL: they were checked when the command line was parsed.
std::string explain_target(const Settings& settings) {
  std::string target = "/explain?";
  target += settings.options.skipped ? "skipped=" : "service=";
  target += settings.options.operand;
  if (as_json(settings)) return target + "&json";
  return target + (wants_colour() ? "&colour" : "");
}

Result<std::string> ask(const Settings& settings, const std::string& target) {
  const auto endpoint = parse_endpoint(settings.listen.value);
  if (!endpoint) return endpoint.error();
  neighbour::HttpLimits limits;
  limits.timeout = std::chrono::seconds(8);
  limits.max_body = std::size_t{32} << 20;
  return neighbour::http_get(*endpoint, target, limits);
}

int print_explanation(const Settings& settings, const Explanation& answer) {
  print(as_json(settings) ? status::render_explanation_json(answer)
                          : status::render_explanation(answer, Paint(wants_colour())));
  return settings.options.skipped || answer.has_rules() ? kExitDone : kExitFailed;
}

/// From the first line of the text or the first member of the JSON.
bool says_rules(std::string_view text) {
  if (text.starts_with('{')) return text.find("\"has_rules\": true") < text.find('\n', 2);
  return text.substr(0, text.find('\n')).ends_with("has rules:");
}

}  // namespace

bool says_ready(std::string_view status) {
  if (status.starts_with('{')) return status.find("\"ready\": true") < status.find('\n', 2);
  while (!status.empty()) {
    const auto end = status.find('\n');
    const std::string_view line = plain(status.substr(0, end));
    if (line.starts_with("ready")) return true;
    if (line.starts_with("not ready") || end == std::string_view::npos) return false;
    status.remove_prefix(end + 1);
  }
  return false;
}

int status_command(const Settings& settings) {
  const auto text = ask(settings, status_target(settings));
  if (!text) {
    say(text.error().message);
    return kExitNoAnswer;
  }
  print(*text);
  return says_ready(*text) ? kExitDone : kExitFailed;
}

int explain_command(const Settings& own, const World& world) {
  if (own.options.services_file.empty()) {
    const auto text = ask(own, explain_target(own));
    if (text) {
      print(*text);
      return own.options.skipped || says_rules(*text) ? kExitDone : kExitFailed;
    }
    if (text.error().kind == ErrorKind::kBadInput) {  // a process answered with an error
      say(text.error().message);
      return kExitNoAnswer;
    }
  }
  Surroundings around(own, world);
  auto state = look_once(around, world);
  if (!state) {
    say(state.error().message);
    return kExitNoAnswer;
  }
  ServiceQuestion question;
  if (own.options.skipped) {
    question.reason = skip_reason(own.options.operand);
  } else {
    question.service = own.options.operand;
  }
  Explanation answer = explain(*state, question);
  for (RulesShown& rules : answer.rules) rules.held_up = "no nmanager runs here";
  return print_explanation(own, answer);
}

}  // namespace nmanager::run
