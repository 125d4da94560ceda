// Which backend keeps our rules: from the setting, kube-proxy's mode, the variant of iptables that
// is in use here, and what has failed. Pure.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "hooks/detect/decide.h"
#include "plugin/model/settings.h"

namespace nmanager::reconciler {

/// Why a backend cannot be used here, one line each; one that is not in it: nothing speaks against
/// it.
using BackendFailures = std::map<BackendChoice, std::string>;

struct BackendQuestion {
  BackendChoice setting = BackendChoice::kAuto;
  std::optional<ProxyMode> mode;    // kube-proxy's; nothing: could not be told
  detect::VariantDecision variant;  // of no interest unless the setting is kAuto
  BackendFailures failures;
  BackendChoice present = BackendChoice::kAuto;  // in use now; kAuto: none
};

struct BackendDecision {
  BackendChoice backend = BackendChoice::kAuto;  // kAuto: none can be told
  bool certain = false;                          // no need to look again soon
  bool make_tables = false;                      // tables that do not exist yet may be made
  std::string reason;                            // one line
  std::string note;  // one line for an operator; empty: nothing is wrong
  bool operator==(const BackendDecision&) const = default;
};

/// A setting is obeyed. Else nftables when kube-proxy runs in nftables mode, or when the variant of
/// iptables that is in use cannot be used; else that variant. A mode that could not be told keeps
/// nftables where it is in use. Tables of iptables-legacy are made only where it is certain that
/// the host uses them.
[[nodiscard]] BackendDecision choose_backend(const BackendQuestion& question);

}  // namespace nmanager::reconciler
