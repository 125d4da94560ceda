// Which mode kube-proxy runs in, from all that is known about it. Pure.
#pragma once

#include <optional>
#include <string>

#include "plugin/model/settings.h"
#include "plugin/neighbour/kernel_evidence.h"
#include "plugin/neighbour/probe.h"

namespace nmanager::neighbour {

struct ModeDecision {
  std::optional<ProxyMode> mode;  // never kAuto; nothing: it could never be told
  std::string origin;             // who said so
  bool certain = false;           // the operator's or kube-proxy's own word, and of now
  std::string note;               // one line, what an operator should know; empty: nothing
  bool in_doubt = false;          // what is known contradicts itself: `mode` may be of before
  bool operator==(const ModeDecision&) const = default;
};

/// In this order: the setting; kube-proxy's own answer; its configuration (kAuto: it does not say);
/// what stands in the kernel. When the configuration contradicts the kernel (a new configuration
/// that kube-proxy has not taken up yet, or what another mode left behind) or nobody says anything,
/// the mode could not be told: that is not "not IPVS", so the previous decision stands, and `note`
/// says why.
[[nodiscard]] ModeDecision decide_mode(const Setting<ProxyMode>& setting, const ProxyReport& report,
                                       ProxyMode config_mode, const KernelEvidence& kernel,
                                       const ModeDecision& previous);

}  // namespace nmanager::neighbour
