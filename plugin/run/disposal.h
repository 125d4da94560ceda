// Frees large values on a thread of its own, and returns their memory to the system: for 40,000
// Services that takes tens of milliseconds.
#pragma once

#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace nmanager::run {

class Disposal {
 public:
  Disposal() = default;
  Disposal(const Disposal&) = delete;
  Disposal& operator=(const Disposal&) = delete;
  /// Returns when everything is freed.
  ~Disposal();

  /// `unused` may be null: only to return free memory. For one thread.
  void take(std::shared_ptr<const void> unused);

 private:
  void run();

  std::mutex mutex_;
  std::vector<std::shared_ptr<const void>> waiting_;
  bool running_ = false;  // the thread will look at waiting_ again
  std::thread thread_;    // there is one while something waits
};

}  // namespace nmanager::run
