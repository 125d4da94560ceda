#include "plugin/reconciler/backoff.h"

#include <algorithm>

namespace nmanager::reconciler {

Millis Backoff::next() {
  constexpr int kMaxShift = 20;
  const auto delay = first_ * (1 << std::min(failures_, kMaxShift));
  ++failures_;
  return std::min<Millis>(delay, cap_);
}

void Contest::repaired(TimePoint now) {
  look(now);
  repairs_.push_back(now);
  last_repair_ = now;
  if (!contested()) {
    if (repairs_.size() <= kBurst) return;
    began_ = now;
  }
  delay_ = std::clamp(std::chrono::duration_cast<Millis>(now - began_) / kLastedPerDelay,
                      kFirstDelay, kMaxDelay);
}

void Contest::look(TimePoint now) {
  while (!repairs_.empty() && now - repairs_.front() > kWindow) repairs_.pop_front();
  if (contested() && now >= *calm_at()) {
    delay_ = Millis::zero();
    repairs_.clear();
  }
}

std::optional<TimePoint> Contest::calm_at() const {
  if (!contested()) return std::nullopt;
  return last_repair_ + 2 * delay_;
}

std::optional<TimePoint> Contest::not_before() const {
  if (!contested()) return std::nullopt;
  return last_repair_ + delay_;
}

}  // namespace nmanager::reconciler
