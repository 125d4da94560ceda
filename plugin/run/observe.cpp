#include "plugin/run/observe.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <string>

#include "hooks/capture/reset_capture.h"
#include "hooks/conntrack/look.h"
#include "hooks/sys/small_file.h"
#include "hooks/values/text.h"
#include "plugin/diagnose/reset_judge.h"

namespace nmanager::run {

namespace {

std::optional<std::uint64_t> read_number(const std::string& name) {
  constexpr std::size_t kMostBytes = 64;
  // /proc/sys/net shows the namespace of the process that opens it.
  const auto text = sys::read_small_file("/proc/sys/net/netfilter/" + name, kMostBytes);
  if (!text) return std::nullopt;
  const std::string_view digits = trimmed(*text);
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return number;
}

std::optional<bool> read_switch(const std::string& name) {
  const auto number = read_number(name);
  return number ? std::optional(*number != 0) : std::nullopt;
}

/// The kernel's counters have 32 bits in netlink and wrap around.
std::uint64_t grown(std::uint64_t before, std::uint64_t after) {
  return static_cast<std::uint32_t>(after - before);
}

void note_statistics(const conntrack::Statistics& before, conntrack::Look& look,
                     diagnose::Evidence& evidence) {
  const auto after = look.statistics();
  if (!after) return;
  evidence.conntrack.invalid = grown(before.invalid, after->invalid);
  evidence.conntrack.dropped = grown(before.dropped, after->dropped);
  evidence.conntrack.early_drops = grown(before.early_drops, after->early_drops);
}

/// Until the time has passed or a stop is requested.
void take_until(Process& process, TimePoint until, capture::ResetCapture& capture,
                diagnose::ResetJudge& judge) {
  const std::array fds{capture.fd()};
  bool goes_on = true;
  while (goes_on && process.now().mono < until) {
    goes_on = process.wait(until, fds);
    for (const capture::Segment& segment : capture.take()) {
      const WallTime now = process.now().wall;
      if (segment.reset) {
        judge.take(segment.tuple, segment.outgoing, now);
      } else {
        judge.take_of_pod(segment.tuple, now);
      }
    }
  }
}

}  // namespace

void watch_resets(Process& process, std::chrono::milliseconds time, diagnose::Evidence& evidence) {
  conntrack::Look look;
  const auto before = look.statistics();
  if (!before) evidence.no_conntrack = before.error().message;
  const TimePoint until = process.now().mono + time;
  evidence.from = process.now().wall;
  auto capture = capture::ResetCapture::open(evidence.pod_cidrs);
  if (!capture) {
    evidence.no_capture = capture.error().message;
    // No more packets are captured; conntrack's counters alone decide nothing.
  } else {
    diagnose::ResetJudge judge([&](const Tuple& tuple) { return look.find(tuple); });
    take_until(process, until, *capture, judge);
    evidence.resets_seen = judge.seen();
    evidence.resets_lost = capture->take_lost();
    evidence.by_node = judge.by_node();
    evidence.by_client = judge.by_client();
    evidence.untranslated = judge.untranslated();
    if (evidence.no_conntrack.empty()) evidence.no_conntrack = judge.problem();
  }
  evidence.to = process.now().wall;
  if (before) note_statistics(*before, look, evidence);
}

void read_conntrack_settings(diagnose::ConntrackSeen& seen) {
  seen.be_liberal = read_switch("nf_conntrack_tcp_be_liberal");
  seen.tcp_loose = read_switch("nf_conntrack_tcp_loose");
  seen.entries = read_number("nf_conntrack_count");
  seen.limit = read_number("nf_conntrack_max");
}

}  // namespace nmanager::run
