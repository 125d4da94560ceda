// Questions that only the owner thread can answer, since only it has the Services: the status
// server asks, the owner answers in its next turn. Neither waits for the other.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <utility>
#include <vector>

#include "plugin/model/explanation.h"

namespace nmanager::status {

struct PendingQuestion {
  ServiceQuestion question;
  /// Passes the answer to the client; drops it if the client has disconnected. Owner thread.
  std::function<void(Explanation)> answer;
};

class Questions {
 public:
  /// An answer reads every Service: more simultaneous questions are refused.
  static constexpr std::size_t kMost = 4;

  /// ask() calls `wake` on the caller's thread; it must not block.
  explicit Questions(std::function<void()> wake) : wake_(std::move(wake)) {}

  /// Server thread. False: too many are waiting.
  [[nodiscard]] bool ask(PendingQuestion question) {
    {
      const std::lock_guard lock(mutex_);
      if (pending_.size() >= kMost) return false;
      pending_.push_back(std::move(question));
    }
    wake_();
    return true;
  }
  /// Owner thread.
  [[nodiscard]] std::vector<PendingQuestion> take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(pending_, {});
  }

 private:
  std::function<void()> wake_;
  std::mutex mutex_;
  std::vector<PendingQuestion> pending_;  // protected by mutex_
};

}  // namespace nmanager::status
