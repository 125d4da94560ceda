// The backend in use: made, moved to another one when the evidence says so, and what was left.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "hooks/detect/evidence.h"
#include "hooks/intent/backend.h"
#include "plugin/model/event.h"
#include "plugin/model/settings.h"
#include "plugin/reconciler/backend_choice.h"
#include "plugin/reconciler/backoff.h"

namespace nmanager::run {

struct BackendPair {
  std::unique_ptr<Backend> backend;
  std::unique_ptr<ChangeWatch> watch;
};

/// Whether a backend may make tables that do not exist yet.
enum class TableCreation : std::uint8_t { kAsNeeded, kNever };

/// Every backend, for taking our chains away wherever they stand; none makes a table.
[[nodiscard]] std::vector<std::unique_ptr<Backend>> every_backend(const Settings& settings);

/// Owner thread only.
class BackendSlot {
 public:
  explicit BackendSlot(const Settings& settings, TableCreation creation = TableCreation::kAsNeeded);

  /// Looks at the evidence when it is time to, and moves to another backend when it says so. Each
  /// second until it is certain, then each ten; at once when kube-proxy's mode is another one, or
  /// when the backend in use turns out to be of no use. `trouble`: why it is, empty: it works.
  /// Nothing: no news.
  [[nodiscard]] std::optional<BackendKnown> look(TimePoint now, std::optional<ProxyMode> mode,
                                                 const std::string& trouble);
  /// Tables have changed: look soon, but not more often than each second.
  void evidence_may_have_changed();
  [[nodiscard]] TimePoint next_look() const { return next_look_; }

  [[nodiscard]] Backend* backend() const { return current_.backend.get(); }
  [[nodiscard]] ChangeWatch* watch() const { return current_.watch.get(); }

  /// Backends that were left, by this process or by one before it: our chains there have to go,
  /// but not before the new ones stand.
  [[nodiscard]] bool has_retired(TimePoint now) const;
  /// `clear` takes our chains away; the backends for which it is false are tried again later.
  void clear_retired(TimePoint now, const std::function<bool(Backend&)>& clear);

 private:
  struct Retired {
    BackendChoice choice;
    std::unique_ptr<Backend> backend;
  };

  [[nodiscard]] reconciler::BackendDecision decide(std::optional<ProxyMode> mode);
  [[nodiscard]] std::string move_to(const reconciler::BackendDecision& decision);
  void retire(BackendChoice choice);
  void retire_all_others();

  Settings settings_;
  TableCreation creation_;
  BackendChoice in_use_ = BackendChoice::kAuto;
  bool makes_tables_ = false;
  BackendPair current_;
  std::vector<Retired> retired_;
  TimePoint clear_not_before_{};
  bool others_retired_ = false;  // what a process before this one may have left was thought of
  detect::VariantLook variant_look_;
  detect::VariantDecision variant_;
  reconciler::BackendFailures failures_;  // seen while a backend was in use
  std::optional<ProxyMode> mode_;
  TimePoint looked_at_{};
  TimePoint next_look_{};
  std::optional<BackendKnown> told_;  // the last news
};

}  // namespace nmanager::run
