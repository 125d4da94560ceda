// The diagnosis as text and JSON.
#include "plugin/diagnose/verdict.h"

#include <nlohmann/json.hpp>

#include "hooks/values/text.h"
#include "plugin/model/snapshot.h"

namespace nmanager::diagnose {

namespace {

using Json = nlohmann::ordered_json;

std::string painted(const Paint& paint, Verdict verdict) {
  switch (verdict) {
    case Verdict::kYes:
      return paint.bad("YES");
    case Verdict::kPossible:
      return paint.doubtful("POSSIBLE");
    case Verdict::kNo:
      return paint.good("NO");
    case Verdict::kUnknown:
      return paint.doubtful("COULD NOT TELL");
  }
  return {};
}

std::string mode_text(const Evidence& evidence) {
  return evidence.mode ? std::string(to_string(*evidence.mode)) : "unknown";
}

template <class T>
Json value_or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

}  // namespace

std::string render(const Diagnosis& diagnosis, const Evidence& evidence, const Paint& paint) {
  std::string text;
  for (const Problem& problem : diagnosis.problems) {
    text += "problem " + std::to_string(problem.number) + ", " + problem.name + ": " +
            painted(paint, problem.verdict) + ": " + one_line(problem.why) + '\n';
    for (const std::string& line : problem.evidence) text += "  " + one_line(line) + '\n';
    if (!problem.advice.empty()) text += "  -> " + problem.advice + '\n';
  }
  text += "kube-proxy: mode " + mode_text(evidence);
  if (!evidence.proxy_version.empty()) text += ", version " + one_line(evidence.proxy_version);
  text += '\n';
  for (const std::string& note : diagnosis.notes) text += "note: " + one_line(note) + '\n';
  for (const std::string& line : diagnosis.not_seen) {
    text += paint.doubtful("could not be seen") + ": " + one_line(line) + '\n';
  }
  return text;
}

std::string render_json(const Diagnosis& diagnosis, const Evidence& evidence) {
  Json json{{"exit_code", diagnosis.exit_code},
            {"schema", 1},
            {"from", utc(evidence.from)},
            {"to", utc(evidence.to)}};
  Json problems = Json::array();
  for (const Problem& problem : diagnosis.problems) {
    problems.push_back({{"problem", problem.number},
                        {"name", problem.name},
                        {"verdict", to_string(problem.verdict)},
                        {"why", problem.why},
                        {"evidence", problem.evidence},
                        {"advice", problem.advice}});
  }
  json["problems"] = std::move(problems);
  json["kube_proxy"] = {{"mode", mode_text(evidence)}, {"version", evidence.proxy_version}};
  const ConntrackSeen& seen = evidence.conntrack;
  json["conntrack"] = {
      {"be_liberal", value_or_null(seen.be_liberal)}, {"tcp_loose", value_or_null(seen.tcp_loose)},
      {"entries", value_or_null(seen.entries)},       {"limit", value_or_null(seen.limit)},
      {"invalid", value_or_null(seen.invalid)},       {"dropped", value_or_null(seen.dropped)}};
  json["notes"] = diagnosis.notes;
  json["not_seen"] = diagnosis.not_seen;
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + '\n';
}

}  // namespace nmanager::diagnose
