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
#include "plugin/services/list_splitter.h"

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

/// A page whose bytes come in pieces, decoded object by object: the memory is that of what is kept.
class PageDecoder {
 public:
  /// What one page may hold; a list beyond is a fault of the server (the API's own limit of
  /// Services in a cluster is 10,000).
  static constexpr std::size_t kMaxServices = 100'000;
  static constexpr std::size_t kMaxUndecodable = 1'000;

  /// False: it is no list, or one beyond the bounds; end() says what.
  [[nodiscard]] bool add(std::string_view piece);
  /// kBadInput: not a complete ServiceList.
  [[nodiscard]] Result<ServicePage> end();

 private:
  void take(std::string_view item);

  ListSplitter splitter_;
  ServicePage page_;
  bool followed_ = true;
};

/// A ServiceList, or a List whose items are Services, as kubectl writes it.
[[nodiscard]] Result<ServicePage> decode_list(std::string_view json);

struct WatchAddedOrModified {
  Service service;
};
struct WatchDeleted {
  std::string key;
};
struct WatchBookmark {
  bool initial_events_end = false;  // all that existed when a streaming list began has been sent
};

/// A Status object: in an ERROR event, or the body of a refusal. For an ERROR event: the server
/// ends the watch.
struct ApiStatus {
  int code = 0;
  std::string reason;
  std::string message;             // one line
  bool too_large_version = false;  // the server is behind the resourceVersion that was asked for
  /// The resourceVersion or continue token is too old; code 410, or by name only.
  [[nodiscard]] bool expired() const;
};
using WatchBody =
    std::variant<WatchAddedOrModified, WatchDeleted, WatchBookmark, ApiStatus, Undecodable>;

struct WatchEvent {
  WatchBody body;
  std::string resource_version;  // of the object; empty for an error
};

/// One line of a watch. kBadInput: not a watch event; the stream cannot be trusted any more.
[[nodiscard]] Result<WatchEvent> decode_watch_line(std::string_view json);

/// spec.podCIDRs (or podCIDR) of the first Node of a list. kBadInput: not a list of Nodes, or an
/// empty one; what is no block is left out.
[[nodiscard]] Result<std::vector<Prefix>> decode_node_pod_cidrs(std::string_view json);

/// The body of a refusal; what is no Status object becomes the message, cut short.
[[nodiscard]] ApiStatus decode_status(std::string_view json);

}  // namespace nmanager::services
