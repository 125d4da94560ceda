// The border between the owner thread, which publishes, and the status server, which shows.
#pragma once

#include <atomic>
#include <chrono>
#include <mutex>

#include "plugin/model/snapshot.h"

namespace nmanager::status {

class StatusBoard {
 public:
  using SteadyTime = std::chrono::steady_clock::time_point;

  explicit StatusBoard(SteadyTime now) : beat_(now.time_since_epoch().count()) {}

  /// Owner thread.
  void publish(SnapshotPtr snapshot) {
    const std::lock_guard lock(mutex_);
    snapshot_.swap(snapshot);
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
  SnapshotPtr snapshot_;  // protected by mutex_
  std::atomic<SteadyTime::rep> beat_;
};

}  // namespace nmanager::status
