// The three problems and the state of their cures on this node.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace nmanager {

enum class CureState : std::uint8_t {
  kOn,         // its rules are in place
  kFailing,    // its rules are wanted but not in place
  kOff,        // turned off, or not possible here
  kNotNeeded,  // the problem does not occur here
  kUnknown,    // not decided yet
};
[[nodiscard]] std::string_view to_string(CureState state);  // "on", "not_needed", ...

struct Cure {
  int problem = 0;   // 1..3, as the README numbers them
  std::string name;  // short name of the problem
  CureState state = CureState::kUnknown;
  std::string why = {};  // one line; may be empty when on
  std::string did = {};  // its effect so far; empty: nothing to report
};

}  // namespace nmanager
