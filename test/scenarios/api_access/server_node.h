// A kubeconfig for a server with its own certificate.
#pragma once

#include <string>
#include <vector>

#include "test/scenarios/node.h"

namespace nmanager::test {

/// Its certificate is for `names`.
[[nodiscard]] ApiServerOptions tls_server(const std::string& host, const PemPair& authority,
                                          const std::vector<std::string>& names);

/// Writes a kubeconfig into the node's folder, and returns its path. `cluster`: more fields.
std::string write_kubeconfig(const Node& node, const std::string& server, const PemPair& authority,
                             const std::string& cluster = {});

/// Settled, with so many Services.
[[nodiscard]] bool knows(const Sidecar& sidecar, int services);

}  // namespace nmanager::test
