// Merges values of kube-proxy's files into the settings. read_kube_proxy_files() reads the files,
// the rest is pure, so that changed files can be merged again at run time:
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
  std::string kubeconfig;   // kube-proxy's, if it exists here; "" = none
  std::string missing;      // the file that its configuration names, if it does not exist here
  std::string stale_error;  // `config` is the content before this error
};

/// Reads the file that `own.kube_proxy_config` names and searches for kube-proxy's kubeconfig: the
/// one that the configuration names, else kubeconfig.conf in the same folder. Never fails.
[[nodiscard]] KubeProxyFiles read_kube_proxy_files(const Settings& own);

/// The path of kube-proxy's kubeconfig if its configuration does not name an existing one.
[[nodiscard]] std::string kubeconfig_beside(const Settings& own);

/// `fresh`, but with the previous configuration if the new one cannot be read.
[[nodiscard]] KubeProxyFiles keep_last_good(const KubeProxyFiles& previous, KubeProxyFiles fresh);

/// `own` (parse_settings()) with values of the files where own has only a default.
[[nodiscard]] Settings merge_kube_proxy_files(const Settings& own, const KubeProxyFiles& files);

}  // namespace nmanager::settings
