// A stand-in for kube-apiserver: lists of Services in pages, watches with bookmarks, and the faults
// of a real server or of the network in front of it. It runs its own threads, in the network
// namespace of the thread that created it.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "test/api_server/service_log.h"
#include "test/api_server/tls_identity.h"

namespace nmanager::test {

/// How the server handles sendInitialEvents.
enum class Streaming {
  kYes,
  kUnprocessable,  // HTTP 422: known but disabled
  kBadRequest,     // HTTP 400
  kErrorEvent,     // ERROR 500: its etcd is too old
  kIgnored,        // unknown: existing objects are sent, without the final bookmark
};

struct ApiServerOptions {
  std::string host = "127.0.0.1";
  std::uint16_t port = 0;  // 0: any
  bool tls = false;
  PemPair certificate = {};           // with tls
  std::string client_authority = {};  // PEM; if set, a client certificate is required
  std::string token = {};             // if set, 401 without it
  std::chrono::milliseconds bookmarks{60'000};
  std::size_t chunk = 0;       // bytes in each chunk of a watch; 0: one chunk per event
  std::size_t page_limit = 0;  // maximum per page; 0: the client's limit
  Streaming streaming = Streaming::kYes;
  bool watch_cache = true;   // lists with resourceVersion=0 ignore the client's limit
  bool chunking = true;      // false: the end of the connection ends the body
  bool tls_1_2 = false;      // maximum version is TLS 1.2
  std::string ciphers = {};  // of TLS 1.2; empty: OpenSSL's default
};

/// A fault that replaces the correct response to a request.
struct Fault {
  enum class On {
    kAny,
    kList,    // of Services, including streaming lists
    kStream,  // streaming lists only
    kPlain,   // lists that are not streaming lists
    kPage,    // the second and later pages
    kWatch,   // watches, without streaming lists
  };
  enum class Kind {
    kStatus,   // `status`, `headers`, `body`
    kRaw,      // sends only `body`, then closes the connection
    kClose,    // closes without a response
    kReset,    // RST without a response
    kSilence,  // no response, the connection stays open
    kStream,   // a valid head, `body` as the chunks of a watch or list, then `then`
  };
  enum class Then { kEnd, kClose, kReset, kSilence };
  Kind kind = Kind::kClose;
  On on = On::kAny;
  int status = 500;
  std::string headers = {};  // complete lines
  std::string body = {};
  Then then = Then::kEnd;
  std::string repeat = {};  // sent repeatedly after `body`, until the client closes
  int times = 1;            // number of requests; 0: all
};

struct SeenRequest {
  std::string target;         // path and query
  std::string authorization;  // empty if absent
  std::string user_agent;
  std::string host;
  std::chrono::steady_clock::time_point at;
  [[nodiscard]] bool has(std::string_view parameter) const {
    return target.find(parameter) != std::string::npos;
  }
  [[nodiscard]] bool is_services() const { return target.starts_with("/api/v1/services"); }
  [[nodiscard]] bool is_stream_list() const { return has("sendInitialEvents="); }
  [[nodiscard]] bool is_watch() const { return has("watch=") && !is_stream_list(); }
  [[nodiscard]] bool is_list() const { return is_services() && !is_watch(); }
};

class ApiServer {
 public:
  explicit ApiServer(ApiServerOptions options = {});
  ApiServer(const ApiServer&) = delete;
  ApiServer& operator=(const ApiServer&) = delete;
  ~ApiServer();

  [[nodiscard]] std::uint16_t port() const;
  [[nodiscard]] std::string url() const;
  ServiceLog& services();

  /// Queues a fault for the next request that matches `on`.
  void fail_next(Fault fault);
  void clear_faults();
  void set_token(std::string token);
  /// Sets the response to a list of Nodes; empty: 404.
  void set_nodes(std::string json);
  /// Refuses every list of Nodes with `status`.
  void set_nodes_status(int status);
  /// Ends every open watch as a server does at its timeout.
  void end_watches();
  /// Closes (or resets) every connection.
  void drop_connections(bool reset = false);

  [[nodiscard]] std::vector<SeenRequest> requests() const;
  /// Waits for `count` requests in total; false after a minute.
  bool wait_for_requests(std::size_t count);
  /// The number of open watches.
  [[nodiscard]] std::size_t watches() const;

  struct Shared;

 private:
  std::shared_ptr<Shared> shared_;
};

}  // namespace nmanager::test
