// Which API server, and with whose credentials.
#pragma once

#include "plugin/api/api_access.h"
#include "plugin/settings/settings.h"

namespace nmanager {

/// --kubeconfig, else kube-proxy's kubeconfig where it exists, else the pod's service account.
[[nodiscard]] Result<ApiAccess> choose_access(const Settings& settings);

}  // namespace nmanager
