// Decodes responses of the API server into typed Services. Pure. Tolerant, as every client of the
// API must be: unknown fields are ignored, and one bad address does not discard the others.
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

/// An object that cannot be used at all; `key` is "namespace/name", or empty if unknown.
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

/// Decodes a page that arrives in pieces, object by object: it needs memory only for the result and
/// one object.
class PageDecoder {
 public:
  /// Limits of one page; a longer list is an error of the server (Kubernetes supports at most
  /// 10,000 Services in a cluster).
  static constexpr std::size_t kMaxServices = 100'000;
  static constexpr std::size_t kMaxUndecodable = 1'000;

  /// False: it is not a list, or it exceeds the limits; end() returns the error.
  [[nodiscard]] bool add(std::string_view piece);
  /// The page. kBadInput: not a complete ServiceList.
  [[nodiscard]] Result<ServicePage> end();

 private:
  void take(std::string_view item);

  ListSplitter splitter_;
  ServicePage page_;
  bool followed_ = true;
};

/// Decodes a ServiceList, or a List of Services as kubectl writes it. kBadInput: as
/// PageDecoder::end().
[[nodiscard]] Result<ServicePage> decode_list(std::string_view json);

struct WatchAddedOrModified {
  Service service;
};
struct WatchDeleted {
  std::string key;
};
struct WatchBookmark {
  bool initial_events_end =
      false;  // all objects that existed when a streaming list began have been sent
};

/// A Status object: from an ERROR event, after which the server ends the watch, or from the body of
/// a refused request.
struct ApiStatus {
  int code = 0;
  std::string reason;
  std::string message;             // one line
  bool too_large_version = false;  // the server is older than the requested resourceVersion
  /// The resourceVersion or continue token is too old: code 410, or only the reason says so.
  [[nodiscard]] bool expired() const;
};
using WatchBody =
    std::variant<WatchAddedOrModified, WatchDeleted, WatchBookmark, ApiStatus, Undecodable>;

struct WatchEvent {
  WatchBody body;
  std::string resource_version;  // of the object; empty for an error
};

/// Decodes one line of a watch. kBadInput: not a watch event; the rest of the stream cannot be
/// trusted.
[[nodiscard]] Result<WatchEvent> decode_watch_line(std::string_view json);

/// spec.podCIDRs (or podCIDR) of the first Node of a list; values that are not address blocks are
/// skipped. kBadInput: not a list of Nodes, or an empty one.
[[nodiscard]] Result<std::vector<Prefix>> decode_node_pod_cidrs(std::string_view json);

/// Decodes the body of a refused request. If it is not a Status object, its first 200 bytes become
/// the message.
[[nodiscard]] ApiStatus decode_status(std::string_view json);

}  // namespace nmanager::services
