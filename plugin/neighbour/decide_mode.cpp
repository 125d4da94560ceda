#include "plugin/neighbour/decide_mode.h"

#include <string_view>
#include <utility>

namespace nmanager::neighbour {

namespace {

std::string name(ProxyMode mode) {
  return std::string(to_string(mode));
}

/// The mode that the kernel shows; nullopt if it shows no mode or two modes at once.
struct KernelWord {
  std::optional<ProxyMode> mode;
  std::string_view why;
};

KernelWord kernel_word(const KernelEvidence& kernel) {
  const bool device = kernel.ipvs_device.value_or(false);
  const bool table = kernel.nft_table.value_or(false);
  if (device && table) return {std::nullopt, "both kube-ipvs0 and the nft table kube-proxy exist"};
  if (device && !kernel.kube_chains.value_or(true)) {
    return {std::nullopt, "kube-ipvs0 exists, but KUBE-SERVICES does not"};
  }
  if (device) return {ProxyMode::kIpvs, "kube-ipvs0 exists"};
  if (table) return {ProxyMode::kNftables, "the nft table kube-proxy exists"};
  // KUBE-SERVICES exists in iptables and in IPVS mode: it shows iptables mode only without
  // kube-ipvs0.
  if (kernel.kube_chains.value_or(false) && kernel.ipvs_device.has_value()) {
    return {ProxyMode::kIptables, "KUBE-SERVICES exists and kube-ipvs0 does not"};
  }
  return {std::nullopt, "the kernel has no objects of kube-proxy"};
}

ModeDecision keep(const ModeDecision& previous, std::string why) {
  ModeDecision decision = previous;
  decision.certain = false;
  decision.in_doubt = true;
  decision.note = "kube-proxy's mode cannot be determined: " + std::move(why) + "; " +
                  (previous.mode ? "the last known mode (" + name(*previous.mode) + ") is kept"
                                 : "no mode is assumed");
  return decision;
}

ModeDecision by_setting(const Setting<ProxyMode>& setting, const ProxyReport& report) {
  ModeDecision decision{setting.value, std::string(to_string(setting.origin)), true, ""};
  if (report.mode && *report.mode != setting.value) {
    decision.note = "the setting proxy-mode says " + name(setting.value) +
                    ", but kube-proxy itself says " + name(*report.mode);
  }
  return decision;
}

ModeDecision by_answer(ProxyMode answer, ProxyMode config_mode) {
  ModeDecision decision{answer, std::string(kProxyModeOrigin), true, ""};
  if (config_mode != ProxyMode::kAuto && config_mode != answer) {
    decision.note = "kube-proxy runs in mode " + name(answer) + ", its configuration says " +
                    name(config_mode) +
                    ": it was not restarted after a change, or one of its flags overrides it";
  }
  return decision;
}

}  // namespace

ModeDecision decide_mode(const Setting<ProxyMode>& setting, const ProxyReport& report,
                         ProxyMode config_mode, const KernelEvidence& kernel,
                         const ModeDecision& previous) {
  if (setting.value != ProxyMode::kAuto) return by_setting(setting, report);
  if (report.mode) return by_answer(*report.mode, config_mode);

  const std::string silence =
      report.error.empty() ? "kube-proxy was not queried yet" : report.error;
  const KernelWord kernel_says = kernel_word(kernel);
  if (config_mode == ProxyMode::kAuto) {
    if (!kernel_says.mode) return keep(previous, silence + ", and " + std::string(kernel_says.why));
    return {kernel_says.mode, "kernel", false,
            "kube-proxy's mode is taken from the kernel (" + std::string(kernel_says.why) +
                "): " + silence};
  }
  const bool ipvs_by_config = config_mode == ProxyMode::kIpvs;
  if (kernel_says.mode && (*kernel_says.mode == ProxyMode::kIpvs) != ipvs_by_config) {
    return keep(previous, silence + ", its configuration says " + name(config_mode) + ", but " +
                              std::string(kernel_says.why));
  }
  return {config_mode, "config.conf", false,
          "kube-proxy's mode is taken from its configuration: " + silence};
}

}  // namespace nmanager::neighbour
