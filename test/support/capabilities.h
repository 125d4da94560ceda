// A thread without a capability, like a container without it.
#pragma once

#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <functional>
#include <thread>

namespace nmanager::test {

/// Runs `body` on a new thread without `capability` (CAP_*), in the caller's network namespace.
inline void in_thread_without(unsigned capability, const std::function<void()>& body) {
  std::thread([&] {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct sets[2]{};
    if (::syscall(SYS_capget, &header, sets) != 0) return;
    sets[capability / 32].effective &= ~(1U << capability % 32);
    if (::syscall(SYS_capset, &header, sets) != 0) return;
    body();
  }).join();
}

}  // namespace nmanager::test
