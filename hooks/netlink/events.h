// The listening socket: which transactions others made, and which of our objects they touched.
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

/// What was heard, for tests and the curious.
struct EventCounts {
  std::uint64_t datagrams = 0;
  std::uint64_t lost = 0;  // times the queue ran over
  std::uint64_t reopened = 0;
};

/// Owner thread only. Datagrams come in the order of the transactions, those about objects before
/// the NEWGEN of their transaction (nf_tables_api.c, nf_tables_commit): having heard NEWGEN n means
/// having heard of everything up to n.
class Events {
 public:
  struct Handlers {
    /// A message about an object (not the end of a transaction) that others caused; the filter may
    /// let through more than what is meant.
    std::function<void(const nlmsghdr&)> touched;
    std::function<void()> lost;  // anything may have happened
    FilterMaker filter;          // what comes through besides the ends of transactions
  };

  Events(Netlink& netlink, const OwnGenerations& own, Handlers handlers);

  /// Opens everything; what happens from now on is heard.
  Status open();
  /// Readable while there is something to receive or to report.
  [[nodiscard]] int fd() const { return poll_.get(); }

  /// Takes in what has arrived, without blocking.
  void receive();
  /// True when everything up to `generation` has been heard; waits for the rest of a transaction
  /// that is being reported. False: it did not come, take it as lost.
  bool caught_up(Generation generation);
  /// Changes by others since the last call.
  [[nodiscard]] std::vector<TableChange> take_changes();
  /// The safety net: asks for the generation, and reports what no event told.
  void compare_generation();

  [[nodiscard]] const EventCounts& counts() const { return counts_; }

 private:
  Status open_socket();
  void handle(const nlmsghdr& message);
  void handle_generation(const nlmsghdr& message);
  void report(TableChange change);
  void lose();
  /// After an error of the socket itself.
  void reopen(int code);

  Netlink& netlink_;
  const OwnGenerations& own_;
  Handlers handlers_;
  sys::Fd socket_;
  sys::Fd poll_;  // epoll over socket_ and pending_: one descriptor, whatever happens to socket_
  sys::Fd pending_;
  Generation heard_ = 0;
  std::uint32_t filtered_port_ = 0;
  std::vector<TableChange> changes_;
  std::vector<char> buffer_;
  EventCounts counts_;
};

}  // namespace nmanager::netlink
