#include "plugin/run/real_neighbours.h"

#include <poll.h>

#include <cstdlib>
#include <utility>

#include "plugin/api/api_client.h"

namespace nmanager::run {

namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);  // the environment is never changed
  return value == nullptr ? std::string() : std::string(value);
}

}  // namespace

settings::KubeProxyFiles RealKubeProxy::read_files(const Settings& own) {
  return settings::read_kube_proxy_files(own);
}

void RealKubeProxy::watch_files(std::vector<std::string> paths) {
  files_.set_paths(std::move(paths));
}

bool RealKubeProxy::has_news() {
  std::vector<pollfd> polled;
  for (const int fd : fds()) polled.push_back({fd, POLLIN, 0});
  return ::poll(polled.data(), polled.size(), 0) > 0;
}

std::vector<int> RealKubeProxy::fds() const {
  std::vector<int> fds{reports_.fd()};
  if (files_.fd() >= 0) fds.push_back(files_.fd());
  return fds;
}

bool RealKubeProxy::files_changed() {
  return !files_.drain().empty();
}

void RealKubeProxy::ask_at(const Endpoint& endpoint) {
  if (probe_) return probe_->set_endpoint(endpoint);
  neighbour::ProbeOptions options;
  options.endpoint = endpoint;
  probe_ = std::make_unique<neighbour::KubeProxyProbe>(
      options, [this](neighbour::ProxyReport report) { reports_.post(std::move(report)); });
}

void RealKubeProxy::ask_soon() {
  if (probe_) probe_->poke();
}

std::vector<neighbour::ProxyReport> RealKubeProxy::take_reports() {
  return reports_.take();
}

neighbour::ProxyReport RealKubeProxy::ask_once(const Endpoint& endpoint) {
  return neighbour::ask_kube_proxy(endpoint, {});
}

api::ApiClientOptions RealApiServer::client_options() const {
  api::ApiClientOptions options;
  options.user_agent = user_agent_;
  options.node_name = variable("NODE_NAME");  // from the downward API; empty: no Node request
  return options;
}

Result<api::ApiAccess> RealApiServer::access(const Settings& settings) {
  if (!settings.kubeconfig.value.empty()) return api::load_kubeconfig(settings.kubeconfig.value);
  return api::in_cluster_access(variable("KUBERNETES_SERVICE_HOST"),
                                variable("KUBERNETES_SERVICE_PORT"));
}

std::unique_ptr<api::ServiceSource> RealApiServer::make_source(const api::ApiAccess& access) {
  return api::make_api_client(access, client_options());
}

std::unique_ptr<api::ServiceSource> RealApiServer::make_node_source(const api::ApiAccess& access) {
  return api::make_node_client(access, client_options());
}

Result<ServicesListed> RealApiServer::list_once(const api::ApiAccess& access) {
  return api::list_once(access, client_options());
}

std::optional<NodePodCidrs> RealApiServer::node_once(const api::ApiAccess& access) {
  return api::node_once(access, client_options());
}

}  // namespace nmanager::run
