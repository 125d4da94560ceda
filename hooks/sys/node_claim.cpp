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

/// Of who holds the name; nothing: nobody does. Root where it does not answer: the queue of
/// connections that nobody takes is full.
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
  if (!socket.valid()) return std::string("no socket for the claim: ") + std::strerror(errno);
  if (::bind(socket.get(), name.get(), name.size) != 0) {
    if (errno != EADDRINUSE) return std::string("no claim: ") + std::strerror(errno);
    // Asked once: each question stays in the holder's queue.
    if (!holder_) holder_ = holder_of_node().value_or("");
    return *holder_;
  }
  holder_.reset();
  // Listening lets others ask who it is (SO_PEERCRED of a connected socket); nothing is accepted.
  static_cast<void>(::listen(socket.get(), 16));
  socket_ = std::move(socket);
  return {};
}

std::optional<std::string> holder_of_node() {
  const auto peer = ask_holder();
  // The name is free for everybody to take; who may change netfilter runs as root.
  if (!peer || peer->uid != 0) return std::nullopt;
  return "another nmanager" +
         (peer->pid > 0 ? " (process " + std::to_string(peer->pid) + ")" : std::string());
}

}  // namespace nmanager::sys
