// One HTTP request whose answer arrives in pieces. The library's threads add pieces and never wait;
// the client's own thread takes them and waits with a deadline.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <string>

#include "hooks/values/result.h"

namespace nmanager::api {

/// The status line and headers.
struct ResponseHead {
  int status = 0;
  std::optional<std::chrono::seconds> retry_after;
  std::string location;  // of a redirect
  bool chunked = false;
};

class Exchange {
 public:
  /// With this many unread bytes the library has to wait before it reads more.
  static constexpr std::size_t kHighWater = std::size_t{256} << 10;
  /// Limits for bytes read from the connection and not passed on yet: of a head, which has a few
  /// hundred bytes; and of a body, since the library holds a chunk until it is complete, and a
  /// server may send a whole list as one chunk.
  static constexpr std::size_t kMaxHead = std::size_t{1} << 20;
  static constexpr std::size_t kMaxChunk = std::size_t{24} << 20;

  // Library's threads.
  void on_connected();
  /// Bytes were read from the connection; more than the bounds end the exchange.
  void on_received(std::size_t count);
  void on_head(ResponseHead head);
  /// Takes the bytes. `resume` is called once, here or later on any thread: with true when the
  /// library may read more, with false when the answer is abandoned.
  void on_data(std::span<const std::uint8_t> data, std::function<void(bool)> resume);
  /// The library's last call; an error unless the exchange ended cleanly.
  void on_end(std::optional<Error> error);

  // Any thread: wakes the waiting thread; every later wait ends at once with kStopped.
  void stop();

  // The client's thread.
  enum class Event { kHead, kData, kEnd, kTimeout, kNotConnected, kStopped };
  /// The next event: kHead once, then kData for each piece, then kEnd. kNotConnected: `connect_by`
  /// has passed without a connection.
  Event wait(std::chrono::steady_clock::time_point deadline,
             std::optional<std::chrono::steady_clock::time_point> connect_by = std::nullopt);
  [[nodiscard]] ResponseHead head() const;
  [[nodiscard]] std::string take_data();
  [[nodiscard]] std::optional<Error> end_error() const;
  [[nodiscard]] bool too_much() const;
  /// A connection was made, for this exchange or an earlier one.
  [[nodiscard]] bool connected() const;
  /// Waits until the library has called on_end(), whatever ended the exchange before; false: not by
  /// `deadline`.
  bool wait_released(std::chrono::steady_clock::time_point deadline);

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  // All protected by mutex_.
  std::optional<ResponseHead> head_;
  bool head_taken_ = false;
  std::string data_;
  std::function<void(bool)> resume_;
  std::size_t held_ = 0;  // received since the last piece was passed on
  bool body_begun_ = false;
  bool connected_ = false;
  bool too_much_ = false;
  bool ended_ = false;
  bool released_ = false;
  bool stopped_ = false;
  std::optional<Error> error_;
};

}  // namespace nmanager::api
