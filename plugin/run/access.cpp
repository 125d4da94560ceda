#include "plugin/run/access.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string>

namespace nmanager::run {

namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);  // the environment is never changed
  return value == nullptr ? std::string() : std::string(value);
}

}  // namespace

std::string node_name() {
  std::string name = variable("NODE_NAME");
  if (name.empty()) {
    std::array<char, 256> host{};
    if (::gethostname(host.data(), host.size() - 1) == 0) name = host.data();
  }
  std::ranges::transform(name, name.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return name;
}

Result<api::ApiAccess> choose_access(const Settings& settings) {
  if (!settings.kubeconfig.value.empty()) return api::load_kubeconfig(settings.kubeconfig.value);
  return api::in_cluster_access(variable("KUBERNETES_SERVICE_HOST"),
                                variable("KUBERNETES_SERVICE_PORT"));
}

}  // namespace nmanager::run
