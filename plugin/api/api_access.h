// Where the API server is and how to prove who we are; a value. Secrets never go into messages.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "hooks/values/result.h"
#include "plugin/model/endpoint.h"

namespace nmanager::api {

/// A PEM text that stands in a file, read anew for each connection since it may be rotated, or that
/// was given as data. Both empty: none.
struct PemSource {
  std::string file;
  std::string data;

  [[nodiscard]] bool given() const { return !file.empty() || !data.empty(); }
  /// The text as it is now; kUnavailable with the file's name when it cannot be read.
  [[nodiscard]] Result<std::string> read() const;
  bool operator==(const PemSource&) const = default;
};

struct ApiAccess {
  std::string server;           // https://host:port, without a trailing slash, user or password
  PemSource ca;                 // none: the system's CAs
  bool insecure = false;        // the server's certificate is not verified
  std::string tls_server_name;  // empty: the host of `server`
  std::string token_file;       // read anew for each request
  std::string token;            // used without token_file
  PemSource client_certificate;
  PemSource client_key;
  std::string proxy_url;  // of the kubeconfig; empty: see proxy_of()
  bool operator==(const ApiAccess&) const = default;
};

/// The value of a variable of the environment; empty: not set.
using Environment = std::function<std::string(const char*)>;

/// The HTTP proxy on the way to the server, as Go's ProxyFromEnvironment has it: `proxy_url`, else
/// HTTPS_PROXY or HTTP_PROXY unless NO_PROXY names the host; never for a loopback address. Empty:
/// none.
[[nodiscard]] std::string proxy_of(const ApiAccess& access, const Environment& environment);

/// What the operator should hear once, one line each: what weakens the connection.
[[nodiscard]] std::vector<std::string> warnings_of(const ApiAccess& access);

/// "https://host:6443 through the proxy http://p:3128"; no user, no password.
[[nodiscard]] std::string server_in_words(const ApiAccess& access, const std::string& proxy);

/// Where the server is as far as its URL says so by address; a name is not looked up.
[[nodiscard]] std::vector<Endpoint> server_endpoints(const ApiAccess& access);

/// The whole file, at most 1 MiB.
[[nodiscard]] Result<std::string> read_credential_file(const std::string& path);

/// `current-context` of a kubeconfig. Paths in it are relative to its folder. One error names every
/// problem. exec and auth-provider plug-ins are refused.
[[nodiscard]] Result<ApiAccess> load_kubeconfig(const std::string& path);
/// The same of a file's text; `path` is where it stands.
[[nodiscard]] Result<ApiAccess> parse_kubeconfig(std::string_view text, const std::string& path);

/// The pod's service account: KUBERNETES_SERVICE_HOST and _PORT, and token and ca.crt in `folder`.
[[nodiscard]] Result<ApiAccess> in_cluster_access(
    const std::string& host, const std::string& port,
    const std::string& folder = "/var/run/secrets/kubernetes.io/serviceaccount");

}  // namespace nmanager::api
