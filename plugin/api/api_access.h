// Where the API server is and how to prove who we are; a value. Secrets never go into messages.
#pragma once

#include <string>
#include <string_view>

#include "hooks/values/result.h"

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
  std::string server;           // https://host:port, without a trailing slash
  PemSource ca;                 // none: the system's CAs
  bool insecure = false;        // the server's certificate is not verified
  std::string tls_server_name;  // empty: the host of `server`
  std::string token_file;       // read anew for each request
  std::string token;            // used without token_file
  PemSource client_certificate;
  PemSource client_key;
  bool operator==(const ApiAccess&) const = default;
};

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
