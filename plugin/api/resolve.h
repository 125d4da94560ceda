// Resolves the addresses of a host; the query can be abandoned.
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

/// One query to the resolver. It runs in its own detached thread: a name server that does not
/// answer delays neither a stop nor the next query (the C library gives up after the time-outs of
/// resolv.conf).
class Lookup {
 public:
  /// Addresses and "localhost" (RFC 6761, 6.3) need no query.
  [[nodiscard]] static std::shared_ptr<Lookup> start(const std::string& host);

  /// Any thread; wait() ends at once.
  void stop();
  /// The addresses in the order in which to try them. nullopt: stopped. kRetry: not in time.
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
