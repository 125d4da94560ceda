#include "plugin/run/access.h"

#include <cstdlib>
#include <string>

namespace nmanager {

namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);  // the environment is never changed
  return value == nullptr ? std::string() : std::string(value);
}

}  // namespace

Result<ApiAccess> choose_access(const Settings& settings) {
  if (!settings.kubeconfig.value.empty()) return load_kubeconfig(settings.kubeconfig.value);
  return in_cluster_access(variable("KUBERNETES_SERVICE_HOST"),
                           variable("KUBERNETES_SERVICE_PORT"));
}

}  // namespace nmanager
