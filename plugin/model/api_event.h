// What the API client reports to the owner thread; values only.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "hooks/values/address.h"
#include "hooks/values/result.h"
#include "plugin/model/service.h"

namespace nmanager {

/// A complete list: whatever is not in it does not exist (any more).
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
/// An object that could not be decoded; what stood for `key` (may be empty) stays.
struct ServiceUndecodable {
  std::string key;
  std::string reason;
};
/// The state of the connection, posted at every change of it.
struct ApiState {
  enum class Phase : std::uint8_t { kConnecting, kListing, kWatching, kBackingOff };
  Phase phase = Phase::kConnecting;
  std::string server;      // URL without credentials
  std::string last_error;  // empty: none since the last success
  ErrorKind last_error_kind = ErrorKind::kUnavailable;
  std::chrono::milliseconds retry_in{};  // with kBackingOff
  // Counters since start.
  std::uint64_t lists = 0;
  std::uint64_t watches = 0;
  std::uint64_t events = 0;  // ADDED, MODIFIED, DELETED
  std::uint64_t bookmarks = 0;
  std::uint64_t relists = 0;  // lists after the first
  std::uint64_t errors = 0;
};

/// spec.podCIDRs of this node's Node object, where it may be read.
struct NodePodCidrs {
  std::vector<Prefix> cidrs;
};

using ApiEvent = std::variant<ServicesListed, ServiceChanged, ServiceDeleted, ServiceUndecodable,
                              NodePodCidrs, ApiState>;

}  // namespace nmanager
