#include "hooks/values/result.h"

namespace nmanager {

std::string_view to_string(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kRetry:
      return "retry";
    case ErrorKind::kAbsent:
      return "absent";
    case ErrorKind::kUnsupported:
      return "unsupported";
    case ErrorKind::kUnavailable:
      return "unavailable";
    case ErrorKind::kDenied:
      return "denied";
    case ErrorKind::kBadInput:
      return "bad input";
    case ErrorKind::kBug:
      return "bug";
  }
  return "unknown";
}

}  // namespace nmanager
