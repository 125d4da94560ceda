// The border between the owner thread, which publishes, and the status server, which shows.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <utility>
#include <vector>

#include "plugin/model/snapshot.h"

namespace nmanager::status {

class StatusBoard {
 public:
  using SteadyTime = std::chrono::steady_clock::time_point;

  /// `wake` is called at each ask(), on the asking thread.
  explicit StatusBoard(SteadyTime now, std::function<void()> wake = {})
      : wake_(std::move(wake)), beat_(now.time_since_epoch().count()) {}

  /// Owner thread. Those whose question the snapshot answers are told.
  void publish(SnapshotPtr snapshot) {
    std::vector<std::function<void()>> done;
    {
      const std::lock_guard lock(mutex_);
      std::erase_if(waiting_, [&](auto& one) {
        if (one.first > snapshot->answers) return false;
        done.push_back(std::move(one.second));
        return true;
      });
      snapshot_.swap(snapshot);
    }
    for (const auto& tell : done) tell();
  }

  /// Any thread. Asks for a snapshot whose counters are read from now on; `done` is called on the
  /// owner thread when it is here, and must not block. It may take as long as a lock is held: the
  /// caller needs a deadline.
  void ask(std::function<void()> done) {
    {
      const std::lock_guard lock(mutex_);
      waiting_.emplace_back(++asked_, std::move(done));
    }
    if (wake_) wake_();
  }
  /// Owner thread: so many questions were asked until now.
  [[nodiscard]] std::uint64_t asked() const {
    const std::lock_guard lock(mutex_);
    return asked_;
  }

  /// Owner thread: the loop turns.
  void beat(SteadyTime now) { beat_.store(now.time_since_epoch().count()); }

  /// Any thread; nothing before the first publish().
  [[nodiscard]] SnapshotPtr current() const {
    const std::lock_guard lock(mutex_);
    return snapshot_;
  }
  /// Any thread.
  [[nodiscard]] std::chrono::nanoseconds beat_age(SteadyTime now) const {
    return now.time_since_epoch() - SteadyTime::duration(beat_.load());
  }

 private:
  mutable std::mutex mutex_;
  // All protected by mutex_.
  SnapshotPtr snapshot_;
  std::uint64_t asked_ = 0;
  std::vector<std::pair<std::uint64_t, std::function<void()>>> waiting_;

  const std::function<void()> wake_;
  std::atomic<SteadyTime::rep> beat_;
};

}  // namespace nmanager::status
