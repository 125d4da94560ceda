// Chooses the backend: from the setting, kube-proxy's mode, the variant of iptables in use on this
// node, and earlier failures. Pure.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "hooks/detect/decide.h"
#include "plugin/model/settings.h"
#include "plugin/model/time.h"

namespace nmanager::reconciler {

/// Why a backend cannot be used here, one line each; a backend without an entry can be used.
using BackendFailures = std::map<BackendChoice, std::string>;

/// The history of the backends. One failure is not a reason to leave a backend: another program
/// may have renamed a chain between our read and our write. Pure.
class BackendHistory {
 public:
  /// A backend that has worked is given up only after continuous failures for this time ...
  static constexpr Millis kPatience{10'000};
  /// ... and is tried again after this.
  static constexpr Millis kTryAgain{300'000};

  /// Records the state of `backend`, which is in use. `why`: empty: it works. `worked_before`:
  /// rules were in place through it since it was chosen.
  void note(BackendChoice backend, const std::string& why, bool worked_before, TimePoint now);
  /// The reason while it is given up.
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
  std::optional<ProxyMode> mode;    // kube-proxy's; nullopt: not determined
  detect::VariantDecision variant;  // used only if the setting is kAuto
  BackendFailures failures;
  BackendChoice present = BackendChoice::kAuto;  // in use now; kAuto: none
};

struct BackendDecision {
  BackendChoice backend = BackendChoice::kAuto;  // kAuto: cannot be determined
  bool certain = false;                          // no need to check again soon
  bool make_tables = false;                      // may create tables that do not exist yet
  std::string reason;                            // one line
  std::string note;                              // one line for an operator; empty: no problem
  bool operator==(const BackendDecision&) const = default;
};

/// A setting has priority. Else nftables if kube-proxy runs in nftables mode, or if the variant of
/// iptables in use on the node does not work for us; else that variant. With an unknown mode,
/// nftables stays in use if it is. Tables of iptables-legacy are created only if it is certain that
/// the host uses them.
[[nodiscard]] BackendDecision choose_backend(const BackendQuestion& question);

}  // namespace nmanager::reconciler
