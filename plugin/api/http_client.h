// The narrow door to the HTTP library (cpprestsdk 2.10.18, archived upstream): one GET at a time
// whose answer streams into an Exchange. Nothing else in the project sees that library.
#pragma once

#include <memory>
#include <string>

#include "hooks/values/result.h"
#include "plugin/api/api_access.h"
#include "plugin/api/exchange.h"
#include "plugin/api/server_url.h"
#include "plugin/api/tls.h"

namespace nmanager::api {

/// First thing in main: the library would start 40 threads. It gets one, and is used on that one
/// only.
void start_http_library();

class HttpClient {
 public:
  virtual ~HttpClient() = default;
  /// Starts GET `path_and_query`; an earlier one is given up. `token` may be empty. Everything that
  /// happens is told to the exchange, on the library's threads. No redirect is followed.
  virtual void get(const std::string& path_and_query, const std::string& token,
                   std::shared_ptr<Exchange> exchange) = 0;
  /// Gives the current request up; its exchange ends soon.
  virtual void cancel() = 0;
};

/// Where a client connects to. Names are resolved before (Lookup): the library would do it without
/// a deadline, one name after another, and never again for a connection that it keeps.
struct Target {
  ServerUrl server;
  Address address;                 // of the server, or of the proxy
  std::optional<ServerUrl> proxy;  // an HTTP proxy on the way
  TlsSettings tls;
  std::string user_agent;
  /// A body without chunks is passed on in pieces of exactly this size, at 8 us each.
  std::size_t piece = 1;
};

/// kBadInput: the URL or the TLS material cannot be used, the message says which.
[[nodiscard]] Result<std::unique_ptr<HttpClient>> make_http_client(const Target& target);

}  // namespace nmanager::api
