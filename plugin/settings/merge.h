// What kube-proxy's files add to the settings. read_kube_proxy_files() looks, the rest is pure, so
// that files that change can be merged again at run time:
//   files = keep_last_good(files, read_kube_proxy_files(own));
//   settings = merge_kube_proxy_files(own, files);
#pragma once

#include <string>

#include "hooks/values/result.h"
#include "plugin/model/settings.h"
#include "plugin/settings/kube_proxy_config.h"

namespace nmanager::settings {

struct KubeProxyFiles {
  /// The error's message names the file.
  Result<KubeProxyConfig> config = Error{ErrorKind::kAbsent, "not read"};
  std::string kubeconfig;   // kube-proxy's, where it exists here; "" = none
  std::string missing;      // the one its configuration names, when that does not exist here
  std::string stale_error;  // `config` is what stood there before this
};

/// Reads the file that `own.kube_proxy_config` names and looks for kube-proxy's kubeconfig: the one
/// that the configuration names, else kubeconfig.conf beside it. Never fails.
[[nodiscard]] KubeProxyFiles read_kube_proxy_files(const Settings& own);

/// Where kube-proxy's kubeconfig is looked for when its configuration does not name one that
/// exists.
[[nodiscard]] std::string kubeconfig_beside(const Settings& own);

/// `fresh`; but a configuration that cannot be read any more does not take back what it said.
[[nodiscard]] KubeProxyFiles keep_last_good(const KubeProxyFiles& previous, KubeProxyFiles fresh);

/// `own` (parse_settings()) plus what the files tell wherever own is only a default.
[[nodiscard]] Settings merge_kube_proxy_files(const Settings& own, const KubeProxyFiles& files);

}  // namespace nmanager::settings
