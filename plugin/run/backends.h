// The backend in use: made, and changed for another one when the evidence says so; and the other
// backends, in which rules of a former choice may remain. Owner thread only.
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

/// Whether a backend may make tables that do not exist yet.
enum class TableCreation : std::uint8_t { kAsNeeded, kNever };

/// How a look at the backend in use went.
struct BackendTrouble {
  std::string why;             // empty: it works
  bool worked_before = false;  // rules were once in place through it
};

class Backends {
 public:
  Backends(const Settings& settings, Kernel& kernel,
           TableCreation creation = TableCreation::kAsNeeded);

  /// Looks at the evidence when it is time to, and moves to another backend when it says so: each
  /// second until it is certain, then each ten; at once when kube-proxy's mode is another one, or
  /// when the backend in use turns out to be of no use. Nothing: no news.
  [[nodiscard]] std::optional<BackendKnown> look(TimePoint now, std::optional<ProxyMode> mode,
                                                 const BackendTrouble& trouble);
  /// Tables have changed: look soon, but not more often than each second.
  void evidence_may_have_changed();
  [[nodiscard]] TimePoint next_look() const { return next_look_; }

  [[nodiscard]] Backend* backend() const { return current_.backend.get(); }
  [[nodiscard]] ChangeWatch* watch() const { return current_.watch.get(); }

  /// A process before this one, or this one before it moved, may have written in another backend.
  /// Calls `clear` with the next one that is due, at most one a call; it returns false to be asked
  /// again soon. To be called only while the rules of the backend in use are in place. Such a
  /// backend makes no table and does not wait for the lock.
  void clear_next(TimePoint now, const std::function<bool(Backend&)>& clear);
  /// Asks again at once for those for which `clear` returned false: it can do more now.
  void clear_unfinished(TimePoint now);
  /// When clear_next() has something to do.
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
  std::map<BackendChoice, TimePoint> clear_due_;  // every backend but the one in use
  std::set<BackendChoice> unfinished_;            // of them, where something is left
  detect::VariantDecision variant_;
  reconciler::BackendHistory history_;
  std::string trouble_;  // of the backend in use, when last looked at
  std::optional<ProxyMode> mode_;
  TimePoint looked_at_{};
  TimePoint next_look_{};
  std::optional<BackendKnown> reported_;
};

/// What clear_next() and `nmanager cleanup` look into.
[[nodiscard]] std::span<const BackendChoice> every_backend();

}  // namespace nmanager::run
