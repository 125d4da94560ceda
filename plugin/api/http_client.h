// The interface to the HTTP library (cpprestsdk 2.10.18, archived upstream): one GET at a time
// whose answer streams into an Exchange. No other part of the project uses that library.
#pragma once

#include <memory>
#include <string>

#include "hooks/values/result.h"
#include "plugin/api/api_access.h"
#include "plugin/api/exchange.h"
#include "plugin/api/server_url.h"
#include "plugin/api/tls.h"

namespace nmanager::api {

/// Must be called first in main: the library would start 40 threads. It gets one, and is used only
/// on that thread.
void start_http_library();

class HttpClient {
 public:
  virtual ~HttpClient() = default;
  /// Starts GET `path_and_query` and abandons an earlier request. `token` may be empty. All events
  /// are reported to the exchange, on the library's threads. Redirects are not followed.
  virtual void get(const std::string& path_and_query, const std::string& token,
                   std::shared_ptr<Exchange> exchange) = 0;
  /// Abandons the current request; its exchange ends soon.
  virtual void cancel() = 0;
};

/// The target of a client's connections. Names are resolved before (Lookup): the library would
/// resolve without a deadline, one name after another, and never again for a connection it keeps.
struct Target {
  ServerUrl server;
  Address address;                 // of the server, or of the proxy
  std::optional<ServerUrl> proxy;  // an HTTP proxy, if used
  TlsSettings tls;
  std::string user_agent;
  /// A body without chunks is passed on in pieces of exactly this size, at 8 us each.
  std::size_t piece = 1;
};

/// kBadInput: the URL or the TLS material cannot be used, the message says which.
[[nodiscard]] Result<std::unique_ptr<HttpClient>> make_http_client(const Target& target);

}  // namespace nmanager::api
