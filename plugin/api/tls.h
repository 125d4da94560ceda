// TLS for a client of the API server, on a context of the HTTP library. No other part uses OpenSSL.
#pragma once

#include <openssl/ssl.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "hooks/values/result.h"
#include "plugin/api/api_access.h"
#include "plugin/api/exchange.h"

namespace nmanager::api {

/// TLS material as texts; a client cannot change it later.
struct TlsMaterial {
  std::string ca;  // empty: the system's CAs
  std::string certificate;
  std::string key;
  bool operator==(const TlsMaterial&) const = default;
};

/// Reads what `access` names; an error names the file.
[[nodiscard]] Result<TlsMaterial> read_tls_material(const ApiAccess& access);

/// The results of the handshakes of one client. Written on the library's threads.
class TlsReport {
 public:
  /// The exchange to which connections and received bytes are reported.
  void attach(std::weak_ptr<Exchange> exchange);
  void on_connected();
  void on_received(std::size_t count);
  void tell(std::string problem);  // only the first one is kept
  /// The reason why the server or this client was refused, as text; empty: no refusal.
  [[nodiscard]] std::string problem() const;

 private:
  mutable std::mutex mutex_;
  std::weak_ptr<Exchange> exchange_;  // protected by mutex_
  std::string problem_;               // protected by mutex_
};

struct TlsSettings {
  TlsMaterial material;
  std::string server_name;  // expected in the certificate, and sent as SNI
  bool insecure = false;
};

/// Sets up `context`, which keeps `report` (if any) as long as it exists. kBadInput: the material
/// cannot be used; the message names the part.
[[nodiscard]] Status set_up_tls(SSL_CTX* context, const TlsSettings& settings,
                                std::shared_ptr<TlsReport> report);

}  // namespace nmanager::api
