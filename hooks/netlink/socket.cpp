#include "hooks/netlink/socket.h"

#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <optional>

#include "hooks/netlink/batch.h"

namespace nmanager::netlink {

namespace {

/// netlink_dump fills at most 32 KiB at once (af_netlink.c).
constexpr std::size_t kReceiveRoom = std::size_t{64} << 10;
/// Sequence numbers of single requests start here, those of batches at 1, so that their answers are
/// never confused.
constexpr std::uint32_t kFirstSequence = 0x40000000;
/// The kernel answers before send() returns; a longer wait means a broken kernel.
constexpr timeval kAnswerTimeout{5, 0};

/// Errors after which the state of the socket is unknown or its descriptor is no longer ours.
bool is_fatal(int code) {
  return code == EBADF || code == ENOTSOCK || code == ENOTCONN || code == EAGAIN ||
         code == EDESTADDRREQ || code == ECONNREFUSED || code == EMSGSIZE;
}

int error_code(const nlmsghdr& message) {
  if (message.nlmsg_len < NLMSG_HDRLEN + sizeof(nlmsgerr)) return EBADMSG;
  return -static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(&message))->error;
}

/// The error that ends a dump, as a positive errno: its DONE carries 0 or a negative errno.
int done_code(const nlmsghdr& message) {
  if (message.nlmsg_len < NLMSG_HDRLEN + sizeof(int)) return 0;
  return -*static_cast<const int*>(mnl_nlmsg_get_payload(&message));
}

}  // namespace

Error netlink_error(const std::string& what, int code) {
  ErrorKind kind = ErrorKind::kUnavailable;
  switch (code) {
    case ENOENT:
    case EPROTONOSUPPORT:  // an extension without that revision
      kind = ErrorKind::kAbsent;
      break;
    case EPERM:
    case EACCES:
      return {ErrorKind::kDenied, what + ": not permitted (CAP_NET_ADMIN is needed)"};
    case ERESTART:
    case EINTR:
    case EBUSY:
    case EEXIST:
      kind = ErrorKind::kRetry;
      break;
    case EAFNOSUPPORT:
    case EOPNOTSUPP:
      kind = ErrorKind::kUnsupported;
      break;
    default:
      break;
  }
  return {kind, what + ": " + std::strerror(code)};
}

Netlink::Netlink() : Netlink(NETLINK_NETFILTER) {}

Status Netlink::open() {
  if (socket_.valid()) return {};
  sys::Fd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol_));
  if (!socket.valid()) {
    const int code = errno;
    if (code == EPROTONOSUPPORT) {
      return Error{ErrorKind::kUnsupported, "kernel lacks nfnetlink (CONFIG_NETFILTER_NETLINK)"};
    }
    return netlink_error("opening a netlink socket", code);
  }
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  socklen_t length = sizeof address;
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  if (::bind(socket.get(), generic, length) != 0 ||
      ::getsockname(socket.get(), generic, &length) != 0) {
    return netlink_error("binding a netlink socket", errno);
  }
  const int one = 1;
  // Acknowledgements do not have to contain the request; best effort.
  ::setsockopt(socket.get(), SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof one);
  ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &kAnswerTimeout, sizeof kAnswerTimeout);
  if (!buffer_) buffer_.reset(new char[kReceiveRoom]);
  if (sequence_ != 0) ++counts_.reopened;
  socket_ = std::move(socket);
  port_ = address.nl_pid;
  sequence_ = kFirstSequence;
  return {};
}

Error Netlink::failed(const char* what, int code) {
  if (is_fatal(code)) {
    // If other code closed our descriptor, its number may have been reused: do not close it again.
    if (code == EBADF || code == ENOTSOCK) {
      static_cast<void>(socket_.release());
    } else {
      socket_.reset();
    }
    port_ = 0;
    return {ErrorKind::kRetry, std::string(what) + ": " + std::strerror(code)};
  }
  return netlink_error(what, code);
}

Status Netlink::transmit(nlmsghdr& message) {
  if (auto opened = open(); !opened) return opened;
  message.nlmsg_seq = ++sequence_;
  ssize_t sent = 0;
  do {
    sent = ::send(socket_.get(), &message, message.nlmsg_len, 0);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) return failed("netlink send", errno);
  return {};
}

Result<std::size_t> Netlink::receive(int flags) {
  ssize_t size = 0;
  do {
    size = ::recv(socket_.get(), buffer_.get(), kReceiveRoom, flags | MSG_TRUNC);
  } while (size < 0 && errno == EINTR);
  if (size < 0) return failed("netlink receive", errno);
  if (static_cast<std::size_t>(size) > kReceiveRoom) return failed("netlink receive", EMSGSIZE);
  return static_cast<std::size_t>(size);
}

Result<int> Netlink::receive_answer(std::uint32_t sequence, bool dump, const Visitor& visit) {
  bool interrupted = false;
  std::optional<int> ended;
  while (!ended) {
    auto size = receive(0);
    if (!size) return size.error();
    for_each_message(buffer_.get(), *size, [&](const nlmsghdr& message) {
      if (message.nlmsg_seq != sequence || ended) return;
      interrupted = interrupted || (message.nlmsg_flags & NLM_F_DUMP_INTR) != 0;
      if (message.nlmsg_type == NLMSG_ERROR) {
        ended = error_code(message);
      } else if (message.nlmsg_type == NLMSG_DONE) {
        ended = done_code(message);
      } else {
        visit(message);
        if (!dump) ended = 0;
      }
    });
  }
  if (!interrupted) return *ended;
  ++counts_.interrupted_dumps;
  return Error{ErrorKind::kRetry, "the table changed while it was read"};
}

Status Netlink::dump(nlmsghdr& request, const Visitor& visit) {
  request.nlmsg_flags |= NLM_F_DUMP;
  if (auto sent = transmit(request); !sent) return sent;
  const auto code = receive_answer(request.nlmsg_seq, true, visit);
  if (!code) return code.error();
  return *code == 0 ? Status() : netlink_error("netlink dump", *code);
}

Result<int> Netlink::answer_to(nlmsghdr& request, const Visitor& visit) {
  if (auto sent = transmit(request); !sent) return sent.error();
  return receive_answer(request.nlmsg_seq, false, visit);
}

Status Netlink::ask(Message& request, const Visitor& visit) {
  const auto code = answer_to(*request.header(), visit);
  if (!code) return code.error();
  return *code == 0 ? Status() : netlink_error("netlink request", *code);
}

Result<Generation> Netlink::generation() {
  Message request(NFT_MSG_GETGEN, AF_UNSPEC, 0);
  Generation generation = 0;
  const auto code = answer_to(*request.header(), [&](const nlmsghdr& message) {
    generation = Attributes(message).be32(NFTA_GEN_ID);
  });
  if (!code) return code.error();
  if (*code == 0) return generation;
  // EINVAL: no subsystem handles nf_tables requests (nfnetlink.c, nfnetlink_rcv_msg).
  if (*code == EINVAL || *code == EOPNOTSUPP) {
    return Error{ErrorKind::kUnsupported, "kernel lacks nf_tables (CONFIG_NF_TABLES)"};
  }
  return netlink_error("nf_tables", *code);
}

Result<std::vector<BatchError>> Netlink::send(Batch& batch) {
  if (auto opened = open(); !opened) return opened.error();
  // Discard late answers to requests that timed out.
  while (::recv(socket_.get(), buffer_.get(), kReceiveRoom, MSG_DONTWAIT) > 0) {
  }
  // The whole batch is one datagram. Without FORCE, net.core.wmem_max would limit the buffer.
  const int size = static_cast<int>(batch.size());
  if (size > (64 << 10)) {
    ::setsockopt(socket_.get(), SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
  }
  std::vector<iovec> pieces = batch.pieces();
  msghdr message{};
  message.msg_iov = pieces.data();
  message.msg_iovlen = pieces.size();
  ssize_t sent = 0;
  do {
    sent = ::sendmsg(socket_.get(), &message, 0);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) return failed("netlink send", errno);

  // The kernel processes the batch in the sender's context: every answer is already in the queue.
  std::vector<BatchError> errors;
  bool acknowledged = false;
  bool lost = false;
  while (true) {
    const ssize_t got = ::recv(socket_.get(), buffer_.get(), kReceiveRoom, MSG_DONTWAIT);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == ENOBUFS) {
      lost = true;  // more errors than the queue holds: the first ones are still in it
      continue;
    }
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) break;
    if (got < 0) return failed("netlink receive", errno);
    for_each_message(buffer_.get(), static_cast<std::size_t>(got), [&](const nlmsghdr& answer) {
      if (answer.nlmsg_type != NLMSG_ERROR) return;
      if (const int code = error_code(answer); code != 0) {
        errors.push_back({answer.nlmsg_seq, code});
      } else if (answer.nlmsg_seq == batch.last_sequence()) {
        acknowledged = true;
      }
    });
  }
  if (errors.empty() && (lost || !acknowledged)) {
    return Error{ErrorKind::kRetry, "the kernel's answer to a transaction was lost"};
  }
  return errors;
}

}  // namespace nmanager::netlink
