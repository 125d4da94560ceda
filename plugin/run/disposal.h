// Frees large values on a thread of its own, and returns their memory to the system: for 40,000
// Services that takes tens of milliseconds.
#pragma once

#include <condition_variable>
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

  /// `unused` may be null: only to return free memory.
  void take(std::shared_ptr<const void> unused);

 private:
  void run();
  void start();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::shared_ptr<const void>> waiting_;
  bool ended_ = false;
  std::thread thread_;  // started when it is needed
};

}  // namespace nmanager::run
