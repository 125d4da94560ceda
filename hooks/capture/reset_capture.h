// Sees every RST that comes to, passes through or leaves this network namespace, and some segments
// of pods that leave it: a packet socket with a filter in the kernel (packet(7)). Needs
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

/// A segment of TCP.
struct Segment {
  Tuple tuple;            // as it was on the wire, there
  bool outgoing = false;  // it leaves a device; else it has just come in
  bool reset = false;     // RST is set
  auto operator<=>(const Segment&) const = default;
};

/// The network and transport headers of one packet; nothing: not a whole segment of TCP, or a later
/// fragment, or behind extension headers. Pure.
[[nodiscard]] std::optional<Segment> parse_segment(Family family,
                                                   std::span<const std::uint8_t> packet,
                                                   bool outgoing);

class ResetCapture {
 public:
  /// So many segments of pods are taken in all, then RSTs alone: where pods are not translated on
  /// purpose, all of their traffic would come here.
  static constexpr std::size_t kMostOfPods = 2'000;

  /// kDenied: CAP_NET_RAW is missing; kUnsupported: the kernel has no packet sockets.
  [[nodiscard]] static Result<ResetCapture> open(std::span<const Prefix> pods);

  /// Readable when take() has something.
  [[nodiscard]] int fd() const { return socket_.get(); }
  /// What has come, in order, without waiting; at most a few hundred at once.
  [[nodiscard]] std::vector<Segment> take();
  /// Packets that passed the filter and found no room since the last call.
  [[nodiscard]] std::size_t take_lost();

 private:
  explicit ResetCapture(sys::Fd socket) : socket_(std::move(socket)) {}

  sys::Fd socket_;
  std::size_t of_pods_ = 0;
};

}  // namespace nmanager::capture
