// Bytes of the API server -> typed Services. Pure; tolerant as every consumer of the API has to be:
// unknown fields are ignored, one bad address does not cost the others.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "hooks/values/result.h"
#include "plugin/model/service.h"

namespace nmanager::services {

/// An object that is not usable as a whole; `key` is "namespace/name" as far as known.
struct Undecodable {
  std::string key;
  std::string reason;
};

/// One page of a list.
struct ServicePage {
  std::vector<Service> services;
  std::vector<Undecodable> undecodable;
  std::string resource_version;
  std::string continue_token;  // empty: the last page
};

/// `json` is changed in place (RapidJSON in situ). kBadInput: not a ServiceList.
[[nodiscard]] Result<ServicePage> decode_list(std::string json);

struct WatchAddedOrModified {
  Service service;
};
struct WatchDeleted {
  std::string key;
};
struct WatchBookmark {};
/// The server ends the watch; code 410: the resourceVersion is too old.
struct WatchError {
  int code = 0;
  std::string reason;
  std::string message;
};
using WatchBody =
    std::variant<WatchAddedOrModified, WatchDeleted, WatchBookmark, WatchError, Undecodable>;

struct WatchEvent {
  WatchBody body;
  std::string resource_version;  // of the object; empty for an error
};

/// One line of a watch. kBadInput: not a watch event; the stream cannot be trusted any more.
[[nodiscard]] Result<WatchEvent> decode_watch_line(std::string json);

/// spec.podCIDRs (or podCIDR) of the first Node of a list. kBadInput: not a list of Nodes, or an
/// empty one; what is no block is left out.
[[nodiscard]] Result<std::vector<Prefix>> decode_node_pod_cidrs(std::string json);

/// A Status object as answered with an error code; a short text when it is none.
[[nodiscard]] std::string decode_status_message(std::string json);

}  // namespace nmanager::services
