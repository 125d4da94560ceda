// Determines the mode of kube-proxy from all sources. Pure.
#pragma once

#include <optional>
#include <string>

#include "plugin/model/settings.h"
#include "plugin/neighbour/kernel_evidence.h"
#include "plugin/neighbour/probe.h"

namespace nmanager::neighbour {

struct ModeDecision {
  std::optional<ProxyMode> mode;  // never kAuto; nullopt: never determined
  std::string origin;             // the source
  bool certain = false;           // the operator's or kube-proxy's own word, and of now
  std::string note;               // one line for the operator; empty: no remark
  bool in_doubt = false;          // what is known contradicts itself: `mode` may be of before
  bool operator==(const ModeDecision&) const = default;
};

/// The sources in order of precedence: the setting; kube-proxy's own answer; its configuration
/// (kAuto: no mode is configured); the objects in the kernel. If the configuration contradicts the
/// kernel (kube-proxy has not loaded a new configuration yet, or another mode left objects behind),
/// or if no source has a mode, the mode is unknown. That does not mean "not IPVS", so the previous
/// decision is kept and `note` gives the reason.
[[nodiscard]] ModeDecision decide_mode(const Setting<ProxyMode>& setting, const ProxyReport& report,
                                       ProxyMode config_mode, const KernelEvidence& kernel,
                                       const ModeDecision& previous);

}  // namespace nmanager::neighbour
