// One HTTP request whose answer comes in pieces. The library's threads put pieces in and never
// wait; the client's own thread takes them out and waits with a deadline.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <span>
#include <string>

#include "hooks/values/result.h"

namespace nmanager::api {

/// What is known before the body.
struct ResponseHead {
  int status = 0;
  std::optional<std::chrono::seconds> retry_after;
};

class Exchange {
 public:
  /// More than this unread is a fault of the server, or of us: the answer is given up.
  static constexpr std::size_t kMaxUnread = std::size_t{64} << 20;

  // Library's threads.
  void on_head(ResponseHead head);
  /// False: give the answer up.
  bool on_data(std::span<const std::uint8_t> data);
  /// The end; an error unless it was a clean one. The first call counts.
  void on_end(std::optional<Error> error);

  // Any thread: wakes whoever waits; every later wait ends at once with kStopped.
  void stop();

  // The client's thread.
  enum class Event { kHead, kData, kEnd, kTimeout, kStopped };
  /// The next thing that is there; kHead once, then kData as long as there is some, then kEnd.
  Event wait(std::chrono::steady_clock::time_point deadline);
  [[nodiscard]] ResponseHead head() const;
  [[nodiscard]] std::string take_data();
  [[nodiscard]] std::optional<Error> end_error() const;
  /// Waits for the end itself, up to `deadline`; true: it has come.
  bool wait_end(std::chrono::steady_clock::time_point deadline);

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  // All protected by mutex_.
  std::optional<ResponseHead> head_;
  bool head_taken_ = false;
  std::string data_;
  bool ended_ = false;
  bool stopped_ = false;
  std::optional<Error> error_;
};

}  // namespace nmanager::api
