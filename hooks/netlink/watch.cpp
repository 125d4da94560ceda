#include "hooks/netlink/watch.h"

#include <algorithm>
#include <utility>

namespace nmanager::netlink {

namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

/// How many of our chains in each table are read again at each interval while other processes
/// commit; about 10 us each. Where there are events, this is only a fallback.
constexpr std::size_t kSweep = 16;

/// A change whose writer is unknown.
TableChange some_change() {
  TableChange change;
  change.certain = true;
  return change;
}

class EventWatch final : public ChangeWatch {
 public:
  explicit EventWatch(std::shared_ptr<Session> session) : session_(std::move(session)) {}

  [[nodiscard]] int fd() const override { return session_->events()->fd(); }
  [[nodiscard]] milliseconds poll_interval() const override { return milliseconds(1000); }

  [[nodiscard]] std::vector<TableChange> drain() override {
    Events& events = *session_->events();
    events.receive();
    bool found = false;
    if (const auto now = steady_clock::now(); now - last_poll_ >= poll_interval()) {
      last_poll_ = now;
      events.compare_generation();
      found = session_->sweep(kSweep);
    }
    std::vector<TableChange> changes = events.take_changes();
    if (!changes.empty()) session_->sweep_all();
    if (found) changes.push_back(some_change());
    return changes;
  }

 private:
  std::shared_ptr<Session> session_;
  steady_clock::time_point last_poll_ = steady_clock::now();
};

class PollWatch final : public ChangeWatch {
 public:
  explicit PollWatch(std::shared_ptr<Session> session) : session_(std::move(session)) {
    if (const auto now = session_->netlink().generation()) seen_ = *now;
  }

  [[nodiscard]] int fd() const override { return -1; }
  [[nodiscard]] milliseconds poll_interval() const override { return milliseconds(50); }

  [[nodiscard]] std::vector<TableChange> drain() override {
    const auto now = session_->netlink().generation();
    if (!now) return {};
    bool changed = false;
    if (*now != seen_) {
      changed = !session_->own().all_own(seen_, *now);
      seen_ = *now;
    }
    if (changed) session_->sweep_all();
    changed = session_->sweep(kSweep) || changed;
    if (!changed) return {};
    return {some_change()};
  }

 private:
  std::shared_ptr<Session> session_;
  Generation seen_ = 0;
};

}  // namespace

std::unique_ptr<ChangeWatch> make_watch(std::shared_ptr<Session> session) {
  if (session->events() == nullptr) return std::make_unique<PollWatch>(std::move(session));
  return std::make_unique<EventWatch>(std::move(session));
}

}  // namespace nmanager::netlink
