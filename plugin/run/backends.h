// Creates the backend in use and replaces it when the evidence changes; finds the backends to
// clear, in which rules of a former choice may remain. Owner thread only.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "hooks/detect/decide.h"
#include "plugin/model/event.h"
#include "plugin/reconciler/backend_choice.h"
#include "plugin/run/world.h"

namespace nmanager::run {

/// Whether a backend may create tables that do not exist yet.
enum class TableCreation : std::uint8_t { kAsNeeded, kNever };

/// The result of the last use of the backend.
struct BackendTrouble {
  std::string why;             // empty: it works
  bool worked_before = false;  // rules were once in place through it
};

class Backends {
 public:
  Backends(const Settings& settings, Kernel& kernel,
           TableCreation creation = TableCreation::kAsNeeded);

  /// Reads the evidence when due, and moves to another backend if it requires this: every second
  /// until the evidence is certain, then every ten seconds; at once if kube-proxy's mode has
  /// changed or the backend in use does not work. nullopt: no change.
  [[nodiscard]] std::optional<BackendKnown> look(TimePoint now, std::optional<ProxyMode> mode,
                                                 const BackendTrouble& trouble);
  /// Tables have changed: read the evidence soon, but at most once per second.
  void evidence_may_have_changed();
  [[nodiscard]] TimePoint next_look() const { return next_look_; }

  [[nodiscard]] Backend* backend() const { return current_.backend.get(); }
  [[nodiscard]] ChangeWatch* watch() const { return current_.watch.get(); }

  /// An earlier process, or this one before it moved, may have written in another backend, or in a
  /// family that is left out now. Calls `clear` with the next due backend, at most one per call.
  /// Call this only while the rules of the backend in use are in place. The backend passed to
  /// `clear` creates no tables and does not wait for the lock; for the kind of backend in use it is
  /// a second one, and only if a family is left out.
  enum class Cleared {
    kDone,
    kPart,   // of many rules: the next part at once, with the same backend and `done`
    kRetry,  // later
  };
  /// `done`, empty at first, is for the tables that need no more parts.
  using Clear = std::function<Cleared(Backend& backend, bool in_use, std::set<TableId>& done)>;
  void clear_next(TimePoint now, const Clear& clear);
  /// Makes the backends due at once for which `clear` returned kRetry: it can do more now.
  void clear_unfinished(TimePoint now);
  /// The time at which clear_next() has work.
  [[nodiscard]] TimePoint next_clear() const;

 private:
  [[nodiscard]] reconciler::BackendDecision decide(TimePoint now, std::optional<ProxyMode> mode);
  [[nodiscard]] std::string move_to(const reconciler::BackendDecision& decision, TimePoint now);

  Settings settings_;
  Kernel& kernel_;
  TableCreation creation_;
  BackendChoice in_use_ = BackendChoice::kAuto;
  bool makes_tables_ = false;
  BackendPair current_;
  std::map<BackendChoice, TimePoint> clear_due_;  // every backend to check
  std::set<BackendChoice> unfinished_;            // of these, those with leftovers
  struct Clearing {
    BackendPair pair;
    std::set<TableId> done;
  };
  std::map<BackendChoice, Clearing> clearing_;  // of these, those cleared in part
  detect::VariantDecision variant_;
  reconciler::BackendHistory history_;
  std::string trouble_;  // of the backend in use, as last seen
  std::optional<ProxyMode> mode_;
  TimePoint looked_at_{};
  TimePoint next_look_{};
  std::optional<BackendKnown> reported_;
};

/// The backends that clear_next() and `nmanager cleanup` check.
[[nodiscard]] std::span<const BackendChoice> every_backend();

}  // namespace nmanager::run
