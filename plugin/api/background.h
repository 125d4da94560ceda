// The thread of a client for the API server. The wait for its end is bounded, since a file that it
// reads may delay it.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>

#include "plugin/api/service_source.h"

namespace nmanager::api {

/// The thread's work and resources; it may outlive its client until the thread ends.
class BackgroundWork {
 public:
  explicit BackgroundWork(ApiSink sink);
  BackgroundWork(const BackgroundWork&) = delete;
  BackgroundWork& operator=(const BackgroundWork&) = delete;
  virtual ~BackgroundWork() = default;

  /// The work's thread.
  void run();
  /// Any thread. Nothing is posted after this; waits for the thread's end up to `patience`.
  void stop(std::chrono::milliseconds patience);

 protected:
  void post(ApiEvent event);

 private:
  virtual void work() = 0;
  /// Any thread: work() returns soon.
  virtual void interrupt() = 0;
  /// After work(): gives back what the HTTP library still holds.
  virtual void close() = 0;

  std::mutex mutex_;
  std::condition_variable changed_;
  // All protected by mutex_.
  ApiSink sink_;
  bool stopped_ = false;
  bool ended_ = false;
};

/// A source that calls `make` for its work when it is started, and that waits up to `patience` for
/// its end.
[[nodiscard]] std::unique_ptr<ServiceSource> make_background_source(
    std::chrono::milliseconds patience,
    std::function<std::shared_ptr<BackgroundWork>(ApiSink)> make);

}  // namespace nmanager::api
