// Socket calls that fail as asked, for the errors that this machine's kernel does not make.
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

/// Runs `body` on a thread of its own for which those calls fail (a seccomp filter, which ends with
/// the thread). The thread is in the caller's network namespace.
void in_thread_denied(const std::vector<Denial>& denials, const std::function<void()>& body);

}  // namespace nmanager::test
