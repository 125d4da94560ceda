#include "plugin/run/disposal.h"

#include <malloc.h>

#include <system_error>
#include <utility>

namespace nmanager::run {

Disposal::~Disposal() {
  if (thread_.joinable()) thread_.join();
}

void Disposal::take(std::shared_ptr<const void> unused) {
  {
    const std::scoped_lock lock(mutex_);
    waiting_.push_back(std::move(unused));
    if (running_) return;
    running_ = true;
  }
  if (thread_.joinable()) thread_.join();  // it has ended
  try {
    thread_ = std::thread([this] { run(); });
  } catch (const std::system_error&) {  // the process may have no more threads
    run();
  }
}

void Disposal::run() {
  std::unique_lock lock(mutex_);
  while (!waiting_.empty()) {
    auto unused = std::exchange(waiting_, {});
    lock.unlock();
    unused.clear();
    ::malloc_trim(0);
    lock.lock();
  }
  running_ = false;
}

}  // namespace nmanager::run
