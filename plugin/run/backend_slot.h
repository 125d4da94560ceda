// The backend in use: chosen by setting, or by looking which variant kube-proxy and kubelet use here.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "hooks/backend/backend.h"
#include "plugin/reconciler/event.h"
#include "plugin/settings/settings.h"

namespace nmanager {

struct BackendPair {
  std::unique_ptr<Backend> backend;
  std::unique_ptr<ChangeWatch> watch;
};

/// Owner thread only.
class BackendSlot {
 public:
  explicit BackendSlot(const Settings& settings);

  /// Looks at the evidence when it is time to, and moves to another backend when it says so.
  /// Nothing: no news.
  [[nodiscard]] std::optional<BackendKnown> look(TimePoint now);
  [[nodiscard]] TimePoint next_look() const { return next_look_; }

  [[nodiscard]] Backend* backend() const { return current_.backend.get(); }
  [[nodiscard]] ChangeWatch* watch() const { return current_.watch.get(); }

  /// The backend that was left, until it is handed out here once: its chains of ours have to go, but
  /// not before the new ones stand.
  [[nodiscard]] std::unique_ptr<Backend> take_retired() { return std::move(retired_.backend); }
  [[nodiscard]] bool has_retired() const { return retired_.backend != nullptr; }

 private:
  [[nodiscard]] Result<BackendPair> make(BackendChoice choice) const;

  Settings settings_;
  BackendChoice in_use_ = BackendChoice::kAuto;
  BackendPair current_;
  BackendPair retired_;
  TimePoint next_look_{};
  std::string last_note_;
};

}  // namespace nmanager
