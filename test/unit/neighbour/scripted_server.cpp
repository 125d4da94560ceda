#include "test/unit/neighbour/scripted_server.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstring>

namespace nmanager::test {

namespace {

struct Listener {
  int fd;
  Endpoint endpoint;
};

Listener listen_on_loopback(Family family) {
  const bool v4 = family == Family::kIpv4;
  const int fd = ::socket(v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  REQUIRE(fd >= 0);
  sockaddr_storage address{};
  socklen_t length = v4 ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
  if (v4) {
    auto* in = reinterpret_cast<sockaddr_in*>(&address);
    in->sin_family = AF_INET;
    in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  } else {
    auto* in = reinterpret_cast<sockaddr_in6*>(&address);
    in->sin6_family = AF_INET6;
    in->sin6_addr = in6addr_loopback;
  }
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  REQUIRE(::bind(fd, generic, length) == 0);
  REQUIRE(::listen(fd, 16) == 0);
  REQUIRE(::getsockname(fd, generic, &length) == 0);
  const std::uint16_t port = v4 ? reinterpret_cast<sockaddr_in*>(&address)->sin_port
                                : reinterpret_cast<sockaddr_in6*>(&address)->sin6_port;
  return {fd, Endpoint{*Address::parse(v4 ? "127.0.0.1" : "::1"), ntohs(port)}};
}

/// False if the wait failed or `stop` is readable.
bool wait_for(int fd, short events, int stop, int timeout_ms) {
  std::array<pollfd, 2> fds{pollfd{fd, events, 0}, pollfd{stop, POLLIN, 0}};
  return ::poll(fds.data(), fds.size(), timeout_ms) >= 0 && fds[1].revents == 0;
}

}  // namespace

ScriptedServer::ScriptedServer(Script script, Family family) : script_(std::move(script)) {
  const Listener listener = listen_on_loopback(family);
  listener_ = listener.fd;
  endpoint_ = listener.endpoint;
  stop_event_ = ::eventfd(0, EFD_CLOEXEC);
  REQUIRE(stop_event_ >= 0);
  thread_ = std::thread([this] { serve(); });
}

ScriptedServer::~ScriptedServer() {
  ::eventfd_write(stop_event_, 1);
  thread_.join();
  ::close(listener_);
  ::close(stop_event_);
}

void ScriptedServer::serve() {
  while (wait_for(listener_, POLLIN, stop_event_, -1)) {
    const int connection = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (connection < 0) continue;
    answer(connection);
    ::close(connection);
  }
}

void ScriptedServer::answer(int connection) {
  std::string request;
  std::array<char, 4096> buffer{};
  while (request.find("\r\n\r\n") == std::string::npos) {
    if (!wait_for(connection, POLLIN, stop_event_, -1)) return;
    const ssize_t got = ::recv(connection, buffer.data(), buffer.size(), 0);
    if (got <= 0) return;
    request.append(buffer.data(), static_cast<std::size_t>(got));
  }
  ++requests_;
  const auto path_at = request.find(' ') + 1;
  const Reply reply = script_(request.substr(path_at, request.find(' ', path_at) - path_at));
  const std::size_t step = reply.byte_by_byte ? 1 : reply.bytes.size();
  for (std::size_t round = 0; round < reply.repeat; ++round) {
    for (std::size_t at = 0; at < reply.bytes.size();) {
      if (!wait_for(connection, POLLOUT, stop_event_, -1)) return;
      const std::size_t length = std::min(step, reply.bytes.size() - at);
      const ssize_t sent = ::send(connection, reply.bytes.data() + at, length, MSG_NOSIGNAL);
      if (sent <= 0) return;
      at += static_cast<std::size_t>(sent);
      if (reply.byte_by_byte && !wait_for(connection, 0, stop_event_, 20)) return;
    }
  }
  if (reply.hang) wait_for(connection, POLLIN, stop_event_, -1);
}

Endpoint closed_port() {
  const Listener listener = listen_on_loopback(Family::kIpv4);
  ::close(listener.fd);
  return listener.endpoint;
}

}  // namespace nmanager::test
