// Which API server, and with whose credentials.
#pragma once

#include <string>

#include "plugin/api/api_access.h"
#include "plugin/model/settings.h"

namespace nmanager::run {

/// --kubeconfig, else kube-proxy's kubeconfig where it exists, else the pod's service account.
[[nodiscard]] Result<api::ApiAccess> choose_access(const Settings& settings);

/// The name of this node's Node object: $NODE_NAME (of the downward API), else the host's name, as
/// kubelet and kube-proxy have it by default.
[[nodiscard]] std::string node_name();

}  // namespace nmanager::run
