// Derives a verdict on each of the three problems from the observations. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "plugin/diagnose/evidence.h"
#include "plugin/model/paint.h"

namespace nmanager::diagnose {

enum class Verdict : std::uint8_t {
  kYes,       // seen
  kPossible,  // not seen, but nothing on this node prevents it
  kNo,        // it does not occur here
  kUnknown,   // the deciding facts could not be observed
};
[[nodiscard]] std::string_view to_string(Verdict verdict);  // "yes", ...

struct Problem {
  int number = 0;  // 1..3, as the README numbers them
  std::string name;
  Verdict verdict = Verdict::kUnknown;
  std::string why = {};                    // one line
  std::vector<std::string> evidence = {};  // one line each
  std::string advice = {};                 // empty: nothing to do
};

struct Diagnosis {
  std::vector<Problem> problems;      // three, in order
  std::vector<std::string> notes;     // further remarks for the operator, one line each
  std::vector<std::string> not_seen;  // what could not be observed, and why
  /// 0: none was seen; 1: at least one was; 2: could not be determined.
  int exit_code = 0;
};

[[nodiscard]] Diagnosis diagnose(const Evidence& evidence);

/// As text, and as JSON by docs/diagnose.schema.json.
[[nodiscard]] std::string render(const Diagnosis& diagnosis, const Evidence& evidence,
                                 const Paint& paint);
[[nodiscard]] std::string render_json(const Diagnosis& diagnosis, const Evidence& evidence);

}  // namespace nmanager::diagnose
