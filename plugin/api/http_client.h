// The narrow door to the HTTP library (cpprestsdk 2.10.18, archived upstream): one GET at a time
// whose answer streams into an Exchange. Nothing else in the project sees that library.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "hooks/values/result.h"
#include "plugin/api/api_access.h"
#include "plugin/api/exchange.h"

namespace nmanager::api {

/// First thing in main: the library would start 40 threads.
void start_http_library();

class HttpClient {
 public:
  virtual ~HttpClient() = default;
  /// Starts GET `path_and_query`; an earlier one is given up. `token` may be empty. Everything that
  /// happens is told to the exchange, on the library's threads.
  virtual void get(const std::string& path_and_query, const std::string& token,
                   std::shared_ptr<Exchange> exchange) = 0;
  /// Gives the current request up; its exchange ends soon.
  virtual void cancel() = 0;
};

/// TLS material as texts; a client cannot change it later.
struct TlsMaterial {
  std::string ca;  // empty: the system's CAs
  std::string certificate;
  std::string key;
  bool operator==(const TlsMaterial&) const = default;
};

/// Reads what `access` names; an error names the file.
[[nodiscard]] Result<TlsMaterial> read_tls_material(const ApiAccess& access);

/// kBadInput: the URL or the TLS material cannot be used, the message says which.
[[nodiscard]] Result<std::unique_ptr<HttpClient>> make_http_client(const ApiAccess& access,
                                                                   const TlsMaterial& tls);

}  // namespace nmanager::api
