// Captures every RST that enters, passes through or leaves this network namespace, and some
// segments of pods that leave it: a packet socket with a filter in the kernel (packet(7)). Needs
// CAP_NET_RAW; changes nothing.
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

/// A TCP segment.
struct Segment {
  Tuple tuple;            // as on the wire at that point
  bool outgoing = false;  // it leaves a device; else it has just arrived
  bool reset = false;     // RST is set
  auto operator<=>(const Segment&) const = default;
};

/// The network and transport headers of one packet; nullopt: not a whole TCP segment, a later
/// fragment, or after extension headers. Pure.
[[nodiscard]] std::optional<Segment> parse_segment(Family family,
                                                   std::span<const std::uint8_t> packet,
                                                   bool outgoing);

class ResetCapture {
 public:
  /// The total limit of captured segments of pods; after it, only RSTs are captured: if pods are
  /// not translated on purpose, all of their traffic would be captured.
  static constexpr std::size_t kMostOfPods = 2'000;

  /// kDenied: CAP_NET_RAW is missing; kUnsupported: the kernel has no packet sockets.
  [[nodiscard]] static Result<ResetCapture> open(std::span<const Prefix> pods);

  /// Readable when take() has segments.
  [[nodiscard]] int fd() const { return socket_.get(); }
  /// The captured segments in order, without waiting; at most a few hundred per call.
  [[nodiscard]] std::vector<Segment> take();
  /// Packets since the last call that passed the filter but were lost for lack of buffer space.
  [[nodiscard]] std::size_t take_lost();

 private:
  explicit ResetCapture(sys::Fd socket) : socket_(std::move(socket)) {}

  sys::Fd socket_;
  std::size_t of_pods_ = 0;
};

}  // namespace nmanager::capture
