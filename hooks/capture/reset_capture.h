// Sees every RST that comes to, passes through or leaves this network namespace: a packet socket
// with a filter in the kernel (packet(7)). Needs CAP_NET_RAW; changes nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "hooks/sys/fd.h"
#include "hooks/values/flow.h"
#include "hooks/values/result.h"

namespace nmanager::capture {

/// A segment with the flag RST.
struct Reset {
  Tuple tuple;            // as it was on the wire, there
  bool outgoing = false;  // it leaves a device; else it has just come in
  auto operator<=>(const Reset&) const = default;
};

/// The network and transport headers of one packet; nothing: not a whole RST segment of TCP, or a
/// fragment, or behind extension headers. Pure.
[[nodiscard]] std::optional<Reset> parse_reset(Family family, std::span<const std::uint8_t> packet,
                                               bool outgoing);

class ResetCapture {
 public:
  /// kDenied: CAP_NET_RAW is missing; kUnsupported: the kernel has no packet sockets.
  [[nodiscard]] static Result<ResetCapture> open();

  /// Readable when take() has something.
  [[nodiscard]] int fd() const { return socket_.get(); }
  /// What has come, in order, without waiting; at most a few hundred at once.
  [[nodiscard]] std::vector<Reset> take();
  /// Packets that passed the filter and found no room since the last call.
  [[nodiscard]] std::size_t take_lost();

 private:
  explicit ResetCapture(sys::Fd socket) : socket_(std::move(socket)) {}

  sys::Fd socket_;
};

}  // namespace nmanager::capture
