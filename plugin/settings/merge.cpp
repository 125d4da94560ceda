#include "plugin/settings/merge.h"

#include <unistd.h>

#include "hooks/sys/small_file.h"
#include "plugin/settings/parse.h"

namespace nmanager::settings {

namespace {

bool exists(const std::string& path) {
  return ::access(path.c_str(), F_OK) == 0;
}

Result<KubeProxyConfig> read_config(const std::string& path) {
  const auto text = sys::read_small_file(path, kMaxConfigBytes);
  if (!text) return text.error();
  auto config = parse_kube_proxy_config(*text);
  if (!config) return Error{config.error().kind, path + ": " + config.error().message};
  return config;
}

template <class T>
void fill(Setting<T>& setting, T value) {
  if (setting.origin == Origin::kDefault) setting = {std::move(value), Origin::kKubeProxyConfig};
}

int masquerade_bit(const KubeProxyConfig& config, ProxyMode mode) {
  constexpr int kDefaultBit = 14;
  const auto& bit = mode == ProxyMode::kNftables ? config.nftables_masquerade_bit
                                                 : config.iptables_masquerade_bit;
  return bit.value_or(kDefaultBit);
}

void fill_pod_cidr(Setting<std::optional<Prefix>>& setting, const std::optional<Prefix>& told) {
  if (told) fill(setting, told);
}

void fill_from(const KubeProxyConfig& config, Settings& settings) {
  fill_pod_cidr(settings.pod_cidr_ipv4, config.pod_cidr_ipv4);
  fill_pod_cidr(settings.pod_cidr_ipv6, config.pod_cidr_ipv6);
  const bool forced = settings.proxy_mode.value != ProxyMode::kAuto;
  fill(settings.masquerade_bit,
       masquerade_bit(config, forced ? settings.proxy_mode.value : config.mode));
  if (!config.metrics_address.empty()) fill(settings.kube_proxy_metrics, config.metrics_address);
  settings.config_mode = config.mode;
  settings.detect_local_mode = config.detect_local_mode;
}

/// Unless the file was named explicitly, a missing file is not a problem: most platforms have none.
void note_unreadable(const Settings& own, const Error& error, Settings& settings) {
  const std::string text = "nothing is taken from kube-proxy's configuration: " + error.message;
  const bool expected = own.kube_proxy_config.origin != Origin::kDefault;
  if (error.kind == ErrorKind::kAbsent && !expected) {
    settings.remarks.push_back(text);
  } else {
    settings.notes.push_back({WarningCode::kConfigUnreadable, text});
  }
}

}  // namespace

KubeProxyFiles read_kube_proxy_files(const Settings& own) {
  KubeProxyFiles files;
  const std::string& path = own.kube_proxy_config.value;
  files.config = read_config(path);
  if (files.config && !files.config->kubeconfig.empty()) {
    if (exists(files.config->kubeconfig)) {
      files.kubeconfig = files.config->kubeconfig;
      return files;
    }
    files.missing = files.config->kubeconfig;
  }
  const std::string beside = kubeconfig_beside(own);
  if (exists(beside)) files.kubeconfig = beside;
  return files;
}

std::string kubeconfig_beside(const Settings& own) {
  const std::string& path = own.kube_proxy_config.value;
  return path.substr(0, path.rfind('/') + 1) + "kubeconfig.conf";
}

KubeProxyFiles keep_last_good(const KubeProxyFiles& previous, KubeProxyFiles fresh) {
  if (fresh.config || !previous.config) return fresh;
  fresh.stale_error = fresh.config.error().message;
  fresh.config = previous.config;
  if (fresh.kubeconfig.empty()) fresh.kubeconfig = previous.kubeconfig;
  return fresh;
}

Settings merge_kube_proxy_files(const Settings& own, const KubeProxyFiles& files) {
  Settings settings = own;
  if (files.config) {
    for (const std::string& problem : files.config->problems) {
      settings.notes.push_back(
          {WarningCode::kConfigValue, own.kube_proxy_config.value + ": " + problem});
    }
    fill_from(*files.config, settings);
  } else {
    note_unreadable(own, files.config.error(), settings);
  }
  if (!files.stale_error.empty()) {
    settings.notes.push_back({WarningCode::kConfigUnreadable,
                              "kube-proxy's configuration cannot be read any more, what it said "
                              "before stays in force: " +
                                  files.stale_error});
  }
  if (!files.kubeconfig.empty()) fill(settings.kubeconfig, files.kubeconfig);
  if (!files.missing.empty() && own.kubeconfig.origin == Origin::kDefault) {
    settings.remarks.push_back("kube-proxy's kubeconfig " + in_quotes(files.missing) +
                               " does not exist here; using " +
                               (files.kubeconfig.empty() ? std::string("the service account")
                                                         : in_quotes(files.kubeconfig)));
  }
  return settings;
}

}  // namespace nmanager::settings
