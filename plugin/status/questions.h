// Questions that only the owner thread can answer, since it alone holds the Services: the status
// server asks, the owner answers at its next turn. Neither ever waits for the other.
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
  /// Takes the answer to whoever asked; drops it when they have gone. Owner thread.
  std::function<void(Explanation)> answer;
};

class Questions {
 public:
  /// An answer costs a look at every Service: more askers at once are refused.
  static constexpr std::size_t kMost = 4;

  /// `wake` is called by ask() on the asker's thread; it must not block.
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
