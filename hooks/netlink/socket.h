// The conversation with the kernel: requests, dumps and batches over one netlink socket.
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

/// The kernel's refusal of one message of a batch.
struct BatchError {
  std::uint32_t sequence = 0;
  int code = 0;  // errno
};

/// What had to be done over, for tests and the curious.
struct NetlinkCounts {
  std::uint64_t interrupted_dumps = 0;
  std::uint64_t reopened = 0;
};

/// Opens its socket when first needed, and again after it broke (closed under us, out of step).
/// Owner thread only.
class Netlink {
 public:
  using Visitor = std::function<void(const nlmsghdr&)>;

  Netlink();                                               // of netfilter
  explicit Netlink(int protocol) : protocol_(protocol) {}  // NETLINK_*

  /// All messages of a dump. kRetry: somebody committed while the kernel was dumping, what was
  /// visited is worthless.
  Status dump(nlmsghdr& request, const Visitor& visit);
  Status dump(Message& request, const Visitor& visit) { return dump(*request.header(), visit); }
  /// One answer, or an acknowledgement. kAbsent: ENOENT.
  Status ask(Message& request, const Visitor& visit);
  /// As ask(); the errno of the answer, 0: it was no refusal.
  [[nodiscard]] Result<int> answer_to(nlmsghdr& request, const Visitor& visit);
  [[nodiscard]] Result<Generation> generation();

  /// Sends a whole batch; what the kernel refused, empty: it was applied (or, after
  /// Batch::abandon(), would have been). An error: unknown.
  [[nodiscard]] Result<std::vector<BatchError>> send(Batch& batch);

  /// This socket's address, which stands in the events that its batches cause; 0 while closed.
  [[nodiscard]] std::uint32_t port() const { return port_; }
  /// Opens the socket if it is not.
  Status open();
  [[nodiscard]] const NetlinkCounts& counts() const { return counts_; }

 private:
  Status transmit(nlmsghdr& message);
  Result<std::size_t> receive(int flags);
  [[nodiscard]] Result<int> receive_answer(std::uint32_t sequence, bool dump, const Visitor& visit);
  /// Closes the socket when `code` says that it is of no use any more.
  Error failed(const char* what, int code);

  int protocol_;
  sys::Fd socket_;
  std::uint32_t port_ = 0;
  std::uint32_t sequence_ = 0;
  std::unique_ptr<char[]> buffer_;
  NetlinkCounts counts_;
};

/// An errno of nf_tables as an Error; `what` names the thing, e.g. "reading chain PREROUTING".
[[nodiscard]] Error netlink_error(const std::string& what, int code);

}  // namespace nmanager::netlink
