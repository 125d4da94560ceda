// Which backend keeps our rules: from the setting, kube-proxy's mode, the variant of iptables that
// is in use here, and what has failed. Pure.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "hooks/detect/decide.h"
#include "plugin/model/settings.h"
#include "plugin/model/time.h"

namespace nmanager::reconciler {

/// Why a backend cannot be used here, one line each; one that is not in it: nothing speaks against
/// it.
using BackendFailures = std::map<BackendChoice, std::string>;

/// What has been seen of backends over time. One failure is no reason to leave a backend: a
/// stranger may have renamed a chain between our read and our write. Pure.
class BackendHistory {
 public:
  /// A backend that has worked is given up only after it failed for so long without a break ...
  static constexpr Millis kPatience{10'000};
  /// ... and is tried again after this.
  static constexpr Millis kTryAgain{300'000};

  /// How `backend`, which is in use, does now. `why`: empty: it works. `worked_before`: rules were
  /// in place through it since it was chosen.
  void note(BackendChoice backend, const std::string& why, bool worked_before, TimePoint now);
  /// Why it was given up, while it is.
  [[nodiscard]] std::optional<std::string> failed(BackendChoice backend, TimePoint now) const;
  [[nodiscard]] BackendFailures failures(TimePoint now) const;

 private:
  struct Trouble {
    std::string why;
    TimePoint since;
    std::optional<TimePoint> given_up;
  };
  std::map<BackendChoice, Trouble> troubles_;
};

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
