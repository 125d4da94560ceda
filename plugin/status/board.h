// The interface between the owner thread, which publishes, and the status server, which renders.
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

  /// Owner thread. Calls `done` of each request that the snapshot answers.
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

  /// Any thread. Requests a snapshot whose counters are read after this call; `done` is called on
  /// the owner thread when it is published, and must not block. This may take as long as a lock is
  /// held: the caller needs a deadline.
  void ask(std::function<void()> done) {
    {
      const std::lock_guard lock(mutex_);
      waiting_.emplace_back(++asked_, std::move(done));
    }
    if (wake_) wake_();
  }
  /// Owner thread: the number of requests so far.
  [[nodiscard]] std::uint64_t asked() const {
    const std::lock_guard lock(mutex_);
    return asked_;
  }

  /// Owner thread: records a turn of the loop.
  void beat(SteadyTime now) { beat_.store(now.time_since_epoch().count()); }

  /// Any thread; null before the first publish().
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
