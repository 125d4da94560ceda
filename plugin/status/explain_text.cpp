// The text of `nmanager explain`.
#include "plugin/status/render.h"

#include <map>

#include "hooks/values/text.h"

namespace nmanager::status {

namespace {

std::string skip_text(const SkippedShown& skip) {
  std::string text = skip.address.empty() ? "" : one_line(skip.address) + ": ";
  text += in_words(skip.reason);
  if (!skip.other.empty()) text += " (" + one_line(skip.other) + ")";
  return text;
}

std::string rules_text(const RulesShown& rules, const Paint& paint) {
  std::string text = "  " + rules.external + ", " + rules.ports + " -> " + rules.cluster +
                     ", for " + rules.for_whom;
  if (!rules.allowed.empty()) text += ", only from " + rules.allowed;
  if (!rules.held_up.empty()) {
    text += "; " + paint.bad("NOT IN PLACE") + ": " + one_line(rules.held_up);
  }
  return text + '\n';
}

std::string one_service(const Explanation& answer, const Paint& paint) {
  const std::string name = paint.strong(answer.question.service);
  if (!answer.found) return name + " has no rules: there is no such Service\n";
  std::string text;
  if (answer.has_rules()) {
    text = name + " has rules:\n";
    for (const RulesShown& rules : answer.rules) text += rules_text(rules, paint);
    if (!answer.skipped.empty()) text += "and not for:\n";
    for (const SkippedShown& skip : answer.skipped) text += "  " + skip_text(skip) + '\n';
    return text;
  }
  if (answer.skipped.size() == 1) {
    return name + " has no rules: " + skip_text(answer.skipped.front()) + '\n';
  }
  text = name + " has no rules:\n";
  for (const SkippedShown& skip : answer.skipped) text += "  " + skip_text(skip) + '\n';
  return text;
}

std::string by_reason(const Explanation& answer, const Paint& paint) {
  std::map<SkipReason, std::string> lines;
  for (const SkippedShown& skip : answer.skipped) {
    lines[skip.reason] +=
        "  " + one_line(skip.service) + (skip.address.empty() ? "" : " " + one_line(skip.address)) +
        (skip.other.empty() ? "" : ", which " + one_line(skip.other) + " has") + '\n';
  }
  if (lines.empty()) return "no Service is skipped for that reason\n";
  std::string text;
  for (const auto& [reason, services] : lines) {
    text +=
        paint.strong(to_string(reason)) + ": " + std::string(in_words(reason)) + '\n' + services;
  }
  return text;
}

}  // namespace

std::string render_explanation(const Explanation& answer, const Paint& paint) {
  if (!answer.nobody.empty()) {
    return (answer.question.service.empty() ? std::string("no Service")
                                            : paint.strong(answer.question.service)) +
           " has " + (answer.question.service.empty() ? "" : "no ") +
           "rules on this node: " + one_line(answer.nobody) + '\n';
  }
  return answer.question.service.empty() ? by_reason(answer, paint) : one_service(answer, paint);
}

}  // namespace nmanager::status
