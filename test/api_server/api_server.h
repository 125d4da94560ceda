// A stand-in for kube-apiserver: lists of Services in pages, watches with bookmarks, and every
// fault that a real one, or the network before it, can show. Threads of its own, in the network
// namespace of the thread that made it.
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

/// What a server makes of sendInitialEvents.
enum class Streaming {
  kYes,
  kUnprocessable,  // HTTP 422: known, and switched off
  kBadRequest,     // HTTP 400
  kErrorEvent,     // ERROR 500: its etcd is too old
  kIgnored,        // not known: what exists is sent, and no bookmark ends it
};

struct ApiServerOptions {
  std::string host = "127.0.0.1";
  std::uint16_t port = 0;  // 0: any
  bool tls = false;
  PemPair certificate = {};           // with tls
  std::string client_authority = {};  // PEM; given: a client certificate is demanded
  std::string token = {};             // given: 401 without it
  std::chrono::milliseconds bookmarks{60'000};
  std::size_t chunk = 0;       // bytes in each chunk of a watch; 0: one chunk for each event
  std::size_t page_limit = 0;  // never more in one page; 0: what the client asks for
  Streaming streaming = Streaming::kYes;
  bool watch_cache = true;   // lists with resourceVersion=0 come whole, whatever limit is asked for
  bool chunking = true;      // false: a body ends with its connection
  bool tls_1_2 = false;      // at most
  std::string ciphers = {};  // of TLS 1.2; empty: OpenSSL's
};

/// What happens to one request instead of the right answer.
struct Fault {
  enum class On {
    kAny,
    kList,    // of Services, streaming ones too
    kStream,  // streaming lists only
    kPlain,   // lists that are none
    kPage,    // the second and later pages
    kWatch,   // not the streaming lists
  };
  enum class Kind {
    kStatus,   // `status`, `headers`, `body`
    kRaw,      // `body` is all that is sent, then the connection is closed
    kClose,    // closed without an answer
    kReset,    // RST without an answer
    kSilence,  // nothing is answered, the connection stays
    kStream,   // a good head, then `body` as the chunks of a watch or list; then as `then` says
  };
  enum class Then { kEnd, kClose, kReset, kSilence };
  Kind kind = Kind::kClose;
  On on = On::kAny;
  int status = 500;
  std::string headers = {};  // complete lines
  std::string body = {};
  Then then = Then::kEnd;
  std::string repeat = {};  // sent again and again behind `body`, until the client has enough
  int times = 1;            // for so many requests; 0: for all
};

struct SeenRequest {
  std::string target;         // path and query
  std::string authorization;  // empty: none
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

  /// For the next request that it is meant for; several queue up.
  void fail_next(Fault fault);
  void clear_faults();
  void set_token(std::string token);
  /// What a list of Nodes is answered with; empty: 404.
  void set_nodes(std::string json);
  /// Every list of Nodes is refused.
  void set_nodes_status(int status);
  /// Ends every open watch as the server does at its time-out.
  void end_watches();
  /// Closes (or resets) every connection.
  void drop_connections(bool reset = false);

  [[nodiscard]] std::vector<SeenRequest> requests() const;
  /// False: fewer than `count` within a minute.
  bool wait_for_requests(std::size_t count);
  /// Open watches now.
  [[nodiscard]] std::size_t watches() const;

  struct Shared;

 private:
  std::shared_ptr<Shared> shared_;
};

}  // namespace nmanager::test
