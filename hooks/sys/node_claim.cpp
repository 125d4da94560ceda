#include "hooks/sys/node_claim.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <string_view>

namespace nmanager::sys {

namespace {

struct Name {
  sockaddr_un address{};
  socklen_t size = 0;

  Name() {
    constexpr std::string_view kName = "nmanager/keeps-the-rules";
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path + 1, kName.data(), kName.size());  // [0] is 0: abstract
    size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + kName.size());
  }
  [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&address); }
};

Fd make_socket() {
  return Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

/// Credentials of the process that holds the name; nullopt if no process does. Root if the
/// credentials are unavailable: the queue of connections, which the holder never accepts, is full.
std::optional<ucred> ask_holder() {
  const Name name;
  const Fd socket = make_socket();
  if (!socket.valid()) return std::nullopt;
  if (::connect(socket.get(), name.get(), name.size) != 0) {
    return errno == EAGAIN ? std::optional(ucred{}) : std::nullopt;
  }
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return ucred{};
  return peer;
}

}  // namespace

std::string NodeClaim::take() {
  if (socket_.valid()) return {};
  const Name name;
  Fd socket = make_socket();
  if (!socket.valid())
    return std::string("cannot create the socket of the node claim: ") + std::strerror(errno);
  if (::bind(socket.get(), name.get(), name.size) != 0) {
    if (errno != EADDRINUSE)
      return std::string("cannot bind the socket of the node claim: ") + std::strerror(errno);
    // Asked only once: each connection stays in the holder's queue.
    if (!holder_) holder_ = holder_of_node().value_or("");
    return *holder_;
  }
  holder_.reset();
  // Other processes read our credentials from a connected socket (SO_PEERCRED), which requires
  // listen(). Connections are never accepted.
  static_cast<void>(::listen(socket.get(), 16));
  socket_ = std::move(socket);
  return {};
}

std::optional<std::string> holder_of_node() {
  const auto peer = ask_holder();
  // Any user can bind the name, but only root can change netfilter.
  if (!peer || peer->uid != 0) return std::nullopt;
  return "another nmanager" +
         (peer->pid > 0 ? " (process " + std::to_string(peer->pid) + ")" : std::string());
}

}  // namespace nmanager::sys
