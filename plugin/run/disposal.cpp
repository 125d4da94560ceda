#include "plugin/run/disposal.h"

#include <malloc.h>

#include <system_error>
#include <utility>

namespace nmanager::run {

Disposal::~Disposal() {
  {
    const std::scoped_lock lock(mutex_);
    ended_ = true;
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void Disposal::take(std::shared_ptr<const void> unused) {
  if (!thread_.joinable()) start();
  if (!thread_.joinable()) {
    unused.reset();
    ::malloc_trim(0);
    return;
  }
  {
    const std::scoped_lock lock(mutex_);
    waiting_.push_back(std::move(unused));
  }
  changed_.notify_one();
}

/// A process that may have no more threads frees on the thread that asks.
void Disposal::start() {
  try {
    thread_ = std::thread([this] { run(); });
  } catch (const std::system_error&) {
  }
}

void Disposal::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return ended_ || !waiting_.empty(); });
    if (waiting_.empty()) return;
    auto unused = std::exchange(waiting_, {});
    lock.unlock();
    unused.clear();
    ::malloc_trim(0);
    lock.lock();
  }
}

}  // namespace nmanager::run
