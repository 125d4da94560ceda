// What the API client reports to the owner thread; values only.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "hooks/values/address.h"
#include "hooks/values/result.h"
#include "plugin/model/service.h"
#include "plugin/model/time.h"

namespace nmanager {

/// A complete list: a Service that is not in it does not exist (any more).
struct ServicesListed {
  std::vector<Service> services;
  std::string resource_version;
};
/// ADDED or MODIFIED.
struct ServiceChanged {
  Service service;
};
struct ServiceDeleted {
  std::string key;
};
/// An object that could not be decoded; the previous value of `key` (may be empty) stays.
struct ServiceUndecodable {
  std::string key;
  std::string reason;
};
/// The state of the connection, posted at every change of it.
struct ApiState {
  enum class Phase : std::uint8_t { kConnecting, kListing, kWatching, kBackingOff };
  Phase phase = Phase::kConnecting;
  std::string server;      // as text: URL without credentials, and the proxy
  std::string last_error;  // empty: none since the last success
  ErrorKind last_error_kind = ErrorKind::kUnavailable;
  std::chrono::milliseconds retry_in{};  // with kBackingOff
  /// The last time that an answer of the server proved the Services current: the end of a list, an
  /// event, a bookmark. The same moment by both clocks; nullopt: never.
  std::optional<WallTime> last_word;
  std::optional<TimePoint> last_word_at;
  /// Warnings about what weakens the connection, one line each, reported once.
  std::vector<std::string> warnings;
  // Counters since start.
  std::uint64_t lists = 0;
  std::uint64_t streamed_lists = 0;  // of these, as the start of a watch
  std::uint64_t watches = 0;
  std::uint64_t events = 0;  // ADDED, MODIFIED, DELETED
  std::uint64_t bookmarks = 0;
  std::uint64_t relists = 0;  // lists after the first
  std::uint64_t errors = 0;
  std::map<std::string, std::uint64_t> errors_by_kind;  // "refused", "silent", ...; sums to errors
};

/// A healthy server sends a bookmark once a minute, and a list follows a watch that was silent for
/// 90 s. If the last answer is older than this, the Services may be out of date.
inline constexpr std::chrono::seconds kServicesStaleAfter{180};

/// nullopt: current, or nothing was listed yet. Otherwise the age of the last answer.
[[nodiscard]] inline std::optional<std::chrono::seconds> stale_for(const ApiState& api,
                                                                   TimePoint now) {
  if (!api.last_word_at || now - *api.last_word_at <= kServicesStaleAfter) return std::nullopt;
  return std::chrono::duration_cast<std::chrono::seconds>(now - *api.last_word_at);
}

/// spec.podCIDRs of this node's Node object; none: it has none, or cannot be read.
struct NodePodCidrs {
  std::vector<Prefix> cidrs;
};

using ApiEvent = std::variant<ServicesListed, ServiceChanged, ServiceDeleted, ServiceUndecodable,
                              NodePodCidrs, ApiState>;

}  // namespace nmanager
