#include "hooks/netlink/events.h"

#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include "hooks/netlink/message.h"

namespace nmanager::netlink {

namespace {

/// A datagram of events is at most NLMSG_GOODSIZE (8 KiB), unless one message alone is larger.
constexpr std::size_t kReceiveRoom = std::size_t{32} << 10;
/// Size in bytes of the kernel's queue for events that arrive while the owner thread is busy: about
/// 1,000 transactions.
constexpr int kQueueRoom = 1 << 20;
/// The longest wait between a transaction's new generation and its NEWGEN event. Reporting is a
/// fraction of a transaction's work; 50,000 rules take 60 ms.
constexpr std::chrono::milliseconds kReportTime{100};
/// Limit of distinct writers that are listed between two calls of take_changes().
constexpr std::size_t kMaxChanges = 16;

void add_to_poll(int poll, int fd) {
  epoll_event event{};
  event.events = EPOLLIN;
  static_cast<void>(::epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event));
}

}  // namespace

Events::Events(Netlink& netlink, const OwnGenerations& own, Handlers handlers)
    : netlink_(netlink), own_(own), handlers_(std::move(handlers)), buffer_(kReceiveRoom) {}

Status Events::open() {
  poll_ = sys::Fd(::epoll_create1(EPOLL_CLOEXEC));
  pending_ = sys::Fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!poll_.valid() || !pending_.valid()) return netlink_error("opening the event queue", errno);
  add_to_poll(poll_.get(), pending_.get());
  return open_socket();
}

Status Events::open_socket() {
  if (auto opened = netlink_.open(); !opened) return opened;
  sys::Fd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_NETFILTER));
  if (!socket.valid()) return netlink_error("opening a netlink socket for events", errno);
  if (::setsockopt(socket.get(), SOL_SOCKET, SO_RCVBUFFORCE, &kQueueRoom, sizeof kQueueRoom) != 0) {
    static_cast<void>(
        ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVBUF, &kQueueRoom, sizeof kQueueRoom));
  }
  static_cast<void>(attach_filter(socket.get(), netlink_.port(), handlers_.filter));
  filtered_port_ = netlink_.port();
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  const int group = NFNLGRP_NFTABLES;
  if (::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      ::setsockopt(socket.get(), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) != 0) {
    return netlink_error("subscribing to nf_tables events", errno);
  }
  // Requested after the subscription began: every older transaction precedes the first read.
  const auto generation = netlink_.generation();
  if (!generation) return generation.error();
  heard_ = *generation;
  add_to_poll(poll_.get(), socket.get());
  socket_ = std::move(socket);
  return {};
}

void Events::receive() {
  if (filtered_port_ != netlink_.port() && netlink_.port() != 0 && socket_.valid()) {
    static_cast<void>(attach_filter(socket_.get(), netlink_.port(), handlers_.filter));
    filtered_port_ = netlink_.port();
  }
  while (true) {
    const ssize_t size = ::recv(socket_.get(), buffer_.data(), buffer_.size(), MSG_TRUNC);
    if (size >= 0) {
      ++counts_.datagrams;
      if (static_cast<std::size_t>(size) > buffer_.size()) lose();
      for_each_message(buffer_.data(), std::min(static_cast<std::size_t>(size), buffer_.size()),
                       [this](const nlmsghdr& message) { handle(message); });
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      return;
    } else if (errno == ENOBUFS) {
      ++counts_.lost;
      lose();
    } else if (errno != EINTR) {
      reopen(errno);
      return;
    }
  }
}

void Events::handle(const nlmsghdr& message) {
  if (NFNL_SUBSYS_ID(message.nlmsg_type) != NFNL_SUBSYS_NFTABLES) return;
  if (NFNL_MSG_TYPE(message.nlmsg_type) == NFT_MSG_NEWGEN) {
    handle_generation(message);
  } else if (message.nlmsg_pid != netlink_.port()) {
    handlers_.touched(message);
  }
}

void Events::handle_generation(const nlmsghdr& message) {
  const Attributes attributes(message);
  const Generation generation = attributes.be32(NFTA_GEN_ID);
  if (generations_between(heard_, generation) > 0) heard_ = generation;
  if (own_.contains(generation)) return;
  TableChange change;
  change.writer = attributes.text(NFTA_GEN_PROC_NAME);
  change.writer_pid = static_cast<std::int32_t>(attributes.be32(NFTA_GEN_PROC_PID));
  change.certain = true;
  report(std::move(change));
}

void Events::report(TableChange change) {
  for (const TableChange& known : changes_) {
    if (known.writer_pid == change.writer_pid && known.writer == change.writer) return;
  }
  if (changes_.size() >= kMaxChanges) return;
  changes_.push_back(std::move(change));
  const std::uint64_t one = 1;
  static_cast<void>(!::write(pending_.get(), &one, sizeof one));
}

void Events::lose() {
  handlers_.lost();
  report(TableChange{});
}

void Events::reopen(int code) {
  ++counts_.reopened;
  // If other code closed our descriptor, its number may have been reused: do not close it again.
  if (code == EBADF || code == ENOTSOCK) {
    static_cast<void>(socket_.release());
  } else {
    socket_.reset();
  }
  // No events arrive until this succeeds; compare_generation() and caught_up() try again.
  static_cast<void>(open_socket());
  lose();
}

bool Events::caught_up(Generation generation) {
  const auto deadline = std::chrono::steady_clock::now() + kReportTime;
  while (true) {
    receive();
    if (generations_between(heard_, generation) <= 0) return true;
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0 || !socket_.valid()) break;
    pollfd waiting{socket_.get(), POLLIN, 0};
    static_cast<void>(::poll(&waiting, 1, static_cast<int>(left.count())));
  }
  heard_ = generation;
  return false;
}

std::vector<TableChange> Events::take_changes() {
  std::uint64_t count = 0;
  static_cast<void>(!::read(pending_.get(), &count, sizeof count));
  return std::exchange(changes_, {});
}

void Events::compare_generation() {
  if (!socket_.valid()) reopen(ENOTCONN);
  const auto generation = netlink_.generation();
  if (!generation || caught_up(*generation)) return;
  lose();
}

}  // namespace nmanager::netlink
