#include "plugin/model/cure.h"

namespace nmanager {

std::string_view to_string(CureState state) {
  switch (state) {
    case CureState::kOn:
      return "on";
    case CureState::kFailing:
      return "failing";
    case CureState::kOff:
      return "off";
    case CureState::kNotNeeded:
      return "not_needed";
    case CureState::kUnknown:
      return "unknown";
  }
  return "?";
}

}  // namespace nmanager
