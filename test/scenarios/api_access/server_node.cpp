#include "test/scenarios/api_access/server_node.h"

#include <fstream>

namespace nmanager::test {

ApiServerOptions tls_server(const std::string& host, const PemPair& authority,
                            const std::vector<std::string>& names) {
  ApiServerOptions options;
  options.host = host;
  options.tls = true;
  options.certificate = make_certificate(authority, "kube-apiserver", names);
  return options;
}

std::string write_kubeconfig(const Node& node, const std::string& server, const PemPair& authority,
                             const std::string& cluster) {
  const std::string path = node.folder() + "/other-kubeconfig";
  std::ofstream(path + ".ca") << authority.certificate;
  std::ofstream(path) << "current-context: c\ncontexts: [{name: c, context: {cluster: c}}]\n"
                      << "clusters:\n- name: c\n  cluster:\n    server: '" << server
                      << "'\n    certificate-authority: " << path << ".ca\n"
                      << (cluster.empty() ? "" : "    " + cluster + "\n");
  return path;
}

bool knows(const Sidecar& sidecar, int services) {
  return sidecar.settled() && sidecar.metric("nmanager_services") == services;
}

}  // namespace nmanager::test
