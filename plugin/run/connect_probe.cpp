#include "plugin/run/connect_probe.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <span>

#include "hooks/sys/fd.h"

namespace nmanager::run {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kAtOnce = 64;

/// One connect, possibly in progress.
struct Attempt {
  sys::Fd socket = sys::Fd(-1);
  std::string outcome;  // empty: in progress
};

std::string in_words(int code) {
  return code == 0 ? kConnected : std::strerror(code);
}

Attempt begin(const ConnectTarget& target) {
  const bool v4 = target.address.family() == Family::kIpv4;
  Attempt attempt;
  attempt.socket =
      sys::Fd(::socket(v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!attempt.socket.valid()) {
    attempt.outcome = in_words(errno);
    return attempt;
  }
  sockaddr_in where4{};
  where4.sin_family = AF_INET;
  where4.sin_port = htons(target.port);
  sockaddr_in6 where6{};
  where6.sin6_family = AF_INET6;
  where6.sin6_port = htons(target.port);
  const auto bytes = target.address.bytes();
  std::memcpy(v4 ? static_cast<void*>(&where4.sin_addr) : &where6.sin6_addr, bytes.data(),
              bytes.size());
  const auto* const where =
      v4 ? reinterpret_cast<const sockaddr*>(&where4) : reinterpret_cast<const sockaddr*>(&where6);
  const socklen_t size = v4 ? sizeof where4 : sizeof where6;
  if (::connect(attempt.socket.get(), where, size) == 0) {
    attempt.outcome = kConnected;
  } else if (errno != EINPROGRESS) {
    attempt.outcome = in_words(errno);
  }
  return attempt;
}

void finish(Attempt& attempt) {
  int code = 0;
  socklen_t size = sizeof code;
  if (::getsockopt(attempt.socket.get(), SOL_SOCKET, SO_ERROR, &code, &size) != 0) code = errno;
  attempt.outcome = in_words(code);
}

/// Waits for those in progress. False: the time has passed, or none is in progress.
bool wait_for(std::vector<Attempt>& attempts, Clock::time_point until) {
  std::vector<pollfd> polled;
  std::vector<Attempt*> waiting;
  for (Attempt& attempt : attempts) {
    if (!attempt.outcome.empty()) continue;
    polled.push_back({attempt.socket.get(), POLLOUT, 0});
    waiting.push_back(&attempt);
  }
  const auto rest = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now());
  if (polled.empty() || rest.count() <= 0) return false;
  if (::poll(polled.data(), polled.size(), static_cast<int>(rest.count())) < 0) {
    return errno == EINTR;
  }
  for (std::size_t i = 0; i < polled.size(); ++i) {
    if (polled[i].revents != 0) finish(*waiting[i]);
  }
  return true;
}

}  // namespace

std::vector<std::string> connect_to_each(const std::vector<ConnectTarget>& targets,
                                         std::chrono::milliseconds patience) {
  std::vector<std::string> outcomes;
  for (std::size_t at = 0; at < targets.size(); at += kAtOnce) {
    const auto batch = std::span(targets).subspan(at, std::min(kAtOnce, targets.size() - at));
    const auto until = Clock::now() + patience;
    std::vector<Attempt> attempts;
    for (const ConnectTarget& target : batch) attempts.push_back(begin(target));
    while (wait_for(attempts, until)) {
    }
    for (Attempt& attempt : attempts) {
      outcomes.push_back(attempt.outcome.empty() ? "timed out" : std::move(attempt.outcome));
    }
  }
  return outcomes;
}

}  // namespace nmanager::run
