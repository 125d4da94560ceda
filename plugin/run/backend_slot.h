// The backend in use: chosen by setting, or by looking which variant kube-proxy and kubelet use
// here.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "hooks/backend/backend.h"
#include "plugin/reconciler/backoff.h"
#include "plugin/reconciler/event.h"
#include "plugin/settings/settings.h"

namespace nmanager {

struct BackendPair {
  std::unique_ptr<Backend> backend;
  std::unique_ptr<ChangeWatch> watch;
};

/// Whether a backend may make tables that do not exist yet.
enum class TableCreation : std::uint8_t { kAsNeeded, kNever };

/// Every variant's backend, for taking our chains away wherever they stand; none makes a table.
[[nodiscard]] std::vector<std::unique_ptr<Backend>> every_backend(const Settings& settings);

/// Owner thread only.
class BackendSlot {
 public:
  explicit BackendSlot(const Settings& settings, TableCreation creation = TableCreation::kAsNeeded);

  /// Looks at the evidence when it is time to, and moves to another backend when it says so.
  /// Nothing: no news.
  [[nodiscard]] std::optional<BackendKnown> look(TimePoint now);
  [[nodiscard]] TimePoint next_look() const { return next_look_; }

  [[nodiscard]] Backend* backend() const { return current_.backend.get(); }
  [[nodiscard]] ChangeWatch* watch() const { return current_.watch.get(); }

  /// The backend that was left: its chains of ours have to go, but not before the new ones stand.
  [[nodiscard]] bool has_retired() const { return retired_ != nullptr; }
  [[nodiscard]] std::unique_ptr<Backend> take_retired() { return std::move(retired_); }

 private:
  struct Choice {
    BackendChoice backend = BackendChoice::kAuto;  // kAuto: none can be told
    bool certain = true;
    std::string note;
  };
  [[nodiscard]] Choice choose() const;
  [[nodiscard]] std::string move_to(BackendChoice choice);

  Settings settings_;
  TableCreation creation_;
  BackendChoice in_use_ = BackendChoice::kAuto;
  BackendPair current_;
  std::unique_ptr<Backend> retired_;
  TimePoint next_look_{};
  std::string told_;  // name and note of the last news
};

}  // namespace nmanager
