// The event socket: the transactions of other processes, and which of our objects they changed.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <vector>

#include "hooks/intent/backend.h"
#include "hooks/netlink/filter.h"
#include "hooks/netlink/generation.h"
#include "hooks/netlink/socket.h"

namespace nmanager::netlink {

/// Statistics for tests and debugging.
struct EventCounts {
  std::uint64_t datagrams = 0;
  std::uint64_t lost = 0;  // how often the queue overflowed
  std::uint64_t reopened = 0;
};

/// Owner thread only. Datagrams arrive in the order of the transactions, and those about objects
/// arrive before the NEWGEN of their transaction (nf_tables_api.c, nf_tables_commit): after NEWGEN
/// n, every event up to n has been received.
class Events {
 public:
  struct Handlers {
    /// A message about an object (not the end of a transaction) that another process caused. The
    /// filter may pass more messages than those about our objects.
    std::function<void(const nlmsghdr&)> touched;
    std::function<void()> lost;  // events were lost: any object may have changed
    FilterMaker filter;          // what passes in addition to the ends of transactions
  };

  Events(Netlink& netlink, const OwnGenerations& own, Handlers handlers);

  /// Opens all descriptors; events are received from now on.
  Status open();
  /// Readable while there is something to receive or to report.
  [[nodiscard]] int fd() const { return poll_.get(); }

  /// Processes the events that have arrived, without blocking.
  void receive();
  /// True when every event up to `generation` has been received. Blocks for at most 100 ms while
  /// the kernel is still reporting a transaction. False: the events did not arrive, treat them as
  /// lost.
  bool caught_up(Generation generation);
  /// Changes by other processes since the last call.
  [[nodiscard]] std::vector<TableChange> take_changes();
  /// The fallback: reads the generation, and reports a change for which no event arrived.
  void compare_generation();

  [[nodiscard]] const EventCounts& counts() const { return counts_; }

 private:
  Status open_socket();
  void handle(const nlmsghdr& message);
  void handle_generation(const nlmsghdr& message);
  void report(TableChange change);
  void lose();
  /// After an error of the socket itself; `code` is its errno.
  void reopen(int code);

  Netlink& netlink_;
  const OwnGenerations& own_;
  Handlers handlers_;
  sys::Fd socket_;
  sys::Fd poll_;  // epoll over socket_ and pending_: one descriptor, even when socket_ is reopened
  sys::Fd pending_;
  Generation heard_ = 0;
  std::uint32_t filtered_port_ = 0;
  std::vector<TableChange> changes_;
  std::vector<char> buffer_;
  EventCounts counts_;
};

}  // namespace nmanager::netlink
