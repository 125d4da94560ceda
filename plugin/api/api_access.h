// The location of the API server and the credentials for it; a value. Messages never contain
// secrets.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "hooks/values/result.h"
#include "plugin/model/endpoint.h"

namespace nmanager::api {

/// A PEM text in a file, read again for each connection since it may be rotated, or given as data.
/// Both empty: none.
struct PemSource {
  std::string file;
  std::string data;

  [[nodiscard]] bool given() const { return !file.empty() || !data.empty(); }
  /// The current text; kUnavailable with the file's name if it cannot be read.
  [[nodiscard]] Result<std::string> read() const;
  bool operator==(const PemSource&) const = default;
};

struct ApiAccess {
  std::string server;           // https://host:port, without a trailing slash, user or password
  PemSource ca;                 // none: the system's CAs
  bool insecure = false;        // the server's certificate is not verified
  std::string tls_server_name;  // empty: the host of `server`
  std::string token_file;       // read again for each request
  std::string token;            // used without token_file
  PemSource client_certificate;
  PemSource client_key;
  std::string proxy_url;  // of the kubeconfig; empty: see proxy_of()
  bool operator==(const ApiAccess&) const = default;
};

/// The value of an environment variable; empty: not set.
using Environment = std::function<std::string(const char*)>;

/// The HTTP proxy for the server, as in Go's ProxyFromEnvironment: `proxy_url`, else HTTPS_PROXY or
/// HTTP_PROXY unless NO_PROXY names the host; never for a loopback address. Empty: none.
[[nodiscard]] std::string proxy_of(const ApiAccess& access, const Environment& environment);

/// Warnings for the operator about what weakens the connection, one line each.
[[nodiscard]] std::vector<std::string> warnings_of(const ApiAccess& access);

/// "https://host:6443 through the proxy http://p:3128"; no user, no password.
[[nodiscard]] std::string server_in_words(const ApiAccess& access, const std::string& proxy);

/// The server's address if its URL contains one; a name is not looked up.
[[nodiscard]] std::vector<Endpoint> server_endpoints(const ApiAccess& access);

/// The whole file, at most 1 MiB.
[[nodiscard]] Result<std::string> read_credential_file(const std::string& path);

/// `current-context` of a kubeconfig. Paths in it are relative to its folder. One error names every
/// problem. exec and auth-provider plug-ins are refused.
[[nodiscard]] Result<ApiAccess> load_kubeconfig(const std::string& path);
/// The same for the text of the file `path`.
[[nodiscard]] Result<ApiAccess> parse_kubeconfig(std::string_view text, const std::string& path);

/// The pod's service account: KUBERNETES_SERVICE_HOST and _PORT, and token and ca.crt in `folder`.
[[nodiscard]] Result<ApiAccess> in_cluster_access(
    const std::string& host, const std::string& port,
    const std::string& folder = "/var/run/secrets/kubernetes.io/serviceaccount");

}  // namespace nmanager::api
