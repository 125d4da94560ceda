// From what was observed to a verdict on each of the three problems. Pure.
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
  kPossible,  // not seen, and nothing here prevents it
  kNo,        // it does not occur here
  kUnknown,   // what decides could not be seen
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
  std::vector<std::string> notes;     // what else an operator should know, one line each
  std::vector<std::string> not_seen;  // what could not be looked at, and why
  /// 0: none was seen; 1: at least one was; 2: could not tell.
  int exit_code = 0;
};

[[nodiscard]] Diagnosis diagnose(const Evidence& evidence);

/// For people, and as JSON by docs/diagnose.schema.json.
[[nodiscard]] std::string render(const Diagnosis& diagnosis, const Evidence& evidence,
                                 const Paint& paint);
[[nodiscard]] std::string render_json(const Diagnosis& diagnosis, const Evidence& evidence);

}  // namespace nmanager::diagnose
