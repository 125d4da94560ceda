// The only input of the owner thread: other threads post values, the owner takes all at once.
#pragma once

#include <sys/eventfd.h>

#include <cstdint>
#include <mutex>
#include <utility>
#include <vector>

#include "hooks/sys/fd.h"

namespace nmanager::run {

template <class T>
class Mailbox {
 public:
  Mailbox() : ready_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

  /// Any thread; never blocks for longer than a move.
  void post(T value) {
    {
      const std::lock_guard lock(mutex_);
      values_.push_back(std::move(value));
    }
    const std::uint64_t one = 1;
    // Fails only if the counter is full; then the owner is already awake.
    (void)!::write(ready_.get(), &one, sizeof one);
  }

  /// Owner thread. Readable while take() has values.
  [[nodiscard]] int fd() const { return ready_.get(); }

  [[nodiscard]] std::vector<T> take() {
    std::uint64_t count = 0;
    (void)!::read(ready_.get(), &count, sizeof count);
    const std::lock_guard lock(mutex_);
    return std::exchange(values_, {});
  }

 private:
  sys::Fd ready_;  // eventfd
  std::mutex mutex_;
  std::vector<T> values_;  // protected by mutex_
};

}  // namespace nmanager::run
