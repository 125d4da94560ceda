#include "plugin/run/real_process.h"

#include <poll.h>
#include <sys/signalfd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <vector>

namespace nmanager::run {

RealProcess::RealProcess() {
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGTERM);
  ::sigaddset(&set, SIGINT);
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  stop_ = sys::Fd(::signalfd(-1, &set, SFD_CLOEXEC));
}

bool RealProcess::stop_requested() const {
  pollfd stop{stop_.get(), POLLIN, 0};
  return ::poll(&stop, 1, 0) > 0;
}

Now RealProcess::now() const {
  return {std::chrono::steady_clock::now(), std::chrono::system_clock::now()};
}

bool RealProcess::wait(TimePoint until, std::span<const int> fds) {
  std::vector<pollfd> polled{{stop_.get(), POLLIN, 0}};
  for (const int fd : fds) polled.push_back({fd, POLLIN, 0});
  const auto rest = std::max(until - now().mono, TimePoint::duration::zero());
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(rest);
  const auto nanos = std::chrono::duration_cast<std::chrono::nanoseconds>(rest - seconds);
  const timespec timeout{seconds.count(), nanos.count()};
  if (::ppoll(polled.data(), polled.size(), &timeout, nullptr) >= 0 || errno == EINTR) {
    return polled.front().revents == 0;
  }
  // More descriptors than the limit of the process allows (poll(2), EINVAL): waits only for the
  // stop, with a short time-out.
  constexpr int kShortWaitMs = 50;
  return ::poll(polled.data(), 1, kShortWaitMs) <= 0;
}

}  // namespace nmanager::run
