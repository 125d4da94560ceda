// The addresses of a host, asked for in a way that can be given up.
#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "hooks/values/address.h"
#include "hooks/values/result.h"

namespace nmanager::api {

/// One question to the resolver. It runs in a thread of its own that nobody waits for: a name
/// server that does not answer holds up neither a stop nor the next question (the C library gives
/// up by itself after the time-outs of resolv.conf).
class Lookup {
 public:
  /// Addresses and "localhost" (RFC 6761, 6.3) are known without asking.
  [[nodiscard]] static std::shared_ptr<Lookup> start(const std::string& host);

  /// Any thread; wait() ends at once.
  void stop();
  /// In the order in which they should be tried. Nothing: stopped. kRetry: not in time.
  [[nodiscard]] std::optional<Result<std::vector<Address>>> wait(
      std::chrono::steady_clock::time_point deadline);

 private:
  void finish(Result<std::vector<Address>> result);

  std::mutex mutex_;
  std::condition_variable changed_;
  // Both protected by mutex_.
  std::optional<Result<std::vector<Address>>> result_;
  bool stopped_ = false;
};

}  // namespace nmanager::api
