// Requests, dumps and batches over one netlink socket.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "hooks/netlink/generation.h"
#include "hooks/netlink/message.h"
#include "hooks/sys/fd.h"
#include "hooks/values/result.h"

namespace nmanager::netlink {

class Batch;

/// The kernel refused one message of a batch.
struct BatchError {
  std::uint32_t sequence = 0;
  int code = 0;  // errno
};

/// How often operations were repeated; for tests and debugging.
struct NetlinkCounts {
  std::uint64_t interrupted_dumps = 0;
  std::uint64_t reopened = 0;
};

/// Opens its socket on first use, and again after it failed (closed by other code, out of sync).
/// Every call blocks until the kernel answers, at most 5 s for each answer. Owner thread only.
class Netlink {
 public:
  using Visitor = std::function<void(const nlmsghdr&)>;

  Netlink();                                               // NETLINK_NETFILTER
  explicit Netlink(int protocol) : protocol_(protocol) {}  // NETLINK_*

  /// Visits all messages of a dump. kRetry: a commit interrupted the dump, ignore what was visited.
  Status dump(nlmsghdr& request, const Visitor& visit);
  Status dump(Message& request, const Visitor& visit) { return dump(*request.header(), visit); }
  /// Visits the one answer, or waits for the acknowledgement. kAbsent: ENOENT.
  Status ask(Message& request, const Visitor& visit);
  /// Like ask(), but returns the errno of the answer; 0 if the request was not refused.
  [[nodiscard]] Result<int> answer_to(nlmsghdr& request, const Visitor& visit);
  [[nodiscard]] Result<Generation> generation();

  /// Sends a whole batch and returns the messages that the kernel refused. Empty: the batch was
  /// applied (after Batch::abandon(): it would have been). An Error: it is unknown whether it was
  /// applied.
  [[nodiscard]] Result<std::vector<BatchError>> send(Batch& batch);

  /// This socket's address, which the events that its batches cause carry; 0 while closed.
  [[nodiscard]] std::uint32_t port() const { return port_; }
  /// Opens the socket if it is closed.
  Status open();
  [[nodiscard]] const NetlinkCounts& counts() const { return counts_; }

 private:
  Status transmit(nlmsghdr& message);
  Result<std::size_t> receive(int flags);
  [[nodiscard]] Result<int> receive_answer(std::uint32_t sequence, bool dump, const Visitor& visit);
  /// Returns the Error for the errno `code`; closes the socket first if it is no longer usable.
  Error failed(const char* what, int code);

  int protocol_;
  sys::Fd socket_;
  std::uint32_t port_ = 0;
  std::uint32_t sequence_ = 0;
  std::unique_ptr<char[]> buffer_;
  NetlinkCounts counts_;
};

/// An errno of nf_tables as an Error; `what` names the operation, e.g. "reading chain PREROUTING".
[[nodiscard]] Error netlink_error(const std::string& what, int code);

}  // namespace nmanager::netlink
