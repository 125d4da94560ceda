// The real kube-proxy and API server.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "plugin/api/api_client.h"
#include "plugin/neighbour/file_watch.h"
#include "plugin/neighbour/probe.h"
#include "plugin/run/mailbox.h"
#include "plugin/run/world.h"

namespace nmanager::run {

class RealKubeProxy final : public KubeProxy {
 public:
  [[nodiscard]] settings::KubeProxyFiles read_files(const Settings& own) override;
  void watch_files(std::vector<std::string> paths) override;
  [[nodiscard]] bool has_news() override;
  [[nodiscard]] std::vector<int> fds() const override;
  [[nodiscard]] bool files_changed() override;
  void ask_at(const Endpoint& endpoint) override;
  void ask_soon() override;
  [[nodiscard]] std::vector<neighbour::ProxyReport> take_reports() override;
  [[nodiscard]] neighbour::ProxyReport ask_once(const Endpoint& endpoint) override;

 private:
  neighbour::FileWatch files_{{}};
  Mailbox<neighbour::ProxyReport> reports_;
  std::unique_ptr<neighbour::KubeProxyProbe> probe_;  // last: it posts to reports_
};

class RealApiServer final : public ApiServer {
 public:
  explicit RealApiServer(std::string user_agent) : user_agent_(std::move(user_agent)) {}
  /// --kubeconfig, else kube-proxy's kubeconfig if it exists, else the pod's service account.
  [[nodiscard]] Result<api::ApiAccess> access(const Settings& settings) override;
  [[nodiscard]] std::unique_ptr<api::ServiceSource> make_source(
      const api::ApiAccess& access) override;
  [[nodiscard]] std::unique_ptr<api::ServiceSource> make_node_source(
      const api::ApiAccess& access) override;
  [[nodiscard]] Result<ServicesListed> list_once(const api::ApiAccess& access) override;
  [[nodiscard]] std::optional<NodePodCidrs> node_once(const api::ApiAccess& access) override;

 private:
  [[nodiscard]] api::ApiClientOptions client_options() const;

  const std::string user_agent_;
};

}  // namespace nmanager::run
