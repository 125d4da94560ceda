// Makes socket calls fail, to test errors that this machine's kernel does not return.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

namespace nmanager::test {

enum class Call : std::uint8_t { kSocket, kGetsockopt, kSetsockopt };

struct Denial {
  Call call;
  int argument;  // the family of socket(), the option of the others
  int error;     // errno
};

/// Runs `body` on a new thread for which these calls fail (by a seccomp filter, which ends with the
/// thread). The thread is in the caller's network namespace.
void in_thread_denied(const std::vector<Denial>& denials, const std::function<void()>& body);

}  // namespace nmanager::test
