// The retries of every backend: try, and read again before a failure is reported.
#pragma once

#include <cstdint>

#include "hooks/intent/backend.h"

namespace nmanager {

enum class Attempt : std::uint8_t {
  kDone,
  kAgain,  // it failed
};

/// The state is as desired. After a failed commit this proves that it has succeeded nevertheless.
inline Attempt verified(SyncReport& report) {
  report.verified = true;
  report.error.reset();
  return Attempt::kDone;
}

/// It could not be read: the reader has already retried.
inline Attempt unreadable(SyncReport& report, const Error& error) {
  report.error = error;
  return Attempt::kDone;
}

/// A commit failed; it is retried unless it is permanently impossible.
inline Attempt refused(SyncReport& report, const Error& error) {
  report.error = error;
  const bool final = error.kind == ErrorKind::kUnsupported || error.kind == ErrorKind::kDenied;
  return final ? Attempt::kDone : Attempt::kAgain;
}

/// Calls `once`, which ends with one of the above, until it is done or has failed too often.
template <class Once>
void attempt(const SyncOptions& options, SyncReport& report, Once&& once) {
  Attempt next = Attempt::kAgain;
  while (next == Attempt::kAgain && report.attempts < options.max_attempts) {
    ++report.attempts;
    next = once();
  }
}

}  // namespace nmanager
