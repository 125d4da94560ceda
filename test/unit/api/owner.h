// The program's loop in a fake world, with events of a real client of the API server and a clock
// that runs faster than real time; and a judge that derives the age of the Services from the
// client's events only.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "plugin/api/service_source.h"
#include "test/fake_world/fake_world.h"

namespace nmanager::test {

class Owner {
 public:
  /// `speed`: seconds of the loop per real second.
  explicit Owner(double speed);
  Owner(const Owner&) = delete;
  Owner& operator=(const Owner&) = delete;
  ~Owner();

  /// The sink of the client, which must end before this object.
  [[nodiscard]] api::ApiSink sink();

  /// False: not within a minute.
  bool wait_for(const std::function<bool(const Snapshot&)>& condition);
  /// Empty: it was reported whenever the Services were older than the bound or never listed.
  [[nodiscard]] std::string broken() const;

 private:
  using Clock = std::chrono::steady_clock;

  void take(ApiEvent event);
  void turn_until_stopped();
  void judge(const Snapshot& snapshot);
  [[nodiscard]] std::chrono::milliseconds scaled(Clock::time_point real) const;

  const double speed_;
  const Clock::time_point start_ = Clock::now();
  Driver driver_;  // used by the thread, except for its mailbox
  const TimePoint epoch_;
  api::ApiSink loop_;  // of the loop, for its client

  mutable std::mutex mutex_;
  std::condition_variable news_;       // for the loop
  std::condition_variable published_;  // by the loop
  // All protected by mutex_.
  bool stopped_ = false;
  bool posted_ = false;
  std::uint64_t bookmarks_ = 0;
  std::optional<std::chrono::milliseconds> last_word_;  // on the loop's clock
  std::optional<Snapshot> latest_;
  std::string broken_;

  std::thread thread_;  // last
};

}  // namespace nmanager::test
