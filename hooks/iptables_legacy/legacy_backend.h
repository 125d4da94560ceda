// The iptables-legacy variant behind hooks/intent/backend.h: the tables of ip_tables.ko and
// ip6_tables.ko, read raw and written through libiptc, under the lock that every iptables-legacy
// command takes.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "hooks/chains/chain_backend.h"
#include "hooks/values/table.h"

namespace nmanager::iptables_legacy {

/// $XTABLES_LOCKFILE, else /run/xtables.lock; as libxtables has it.
[[nodiscard]] std::string lock_file_path();

/// The shapes of tables as a backend last left or saw them; opaque here.
class SeenShapes;
[[nodiscard]] std::shared_ptr<SeenShapes> make_seen_shapes();

/// Backend and watch that are made from copies of one LegacyOptions share `seen`; by it the poll of
/// the watch knows the backend's own commits. With options of their own the watch reports each own
/// commit once as a change, which costs one look and does no other harm.
struct LegacyOptions {
  std::string lock_file = lock_file_path();
  /// Bound of one wait for the lock, of which a sync() of any number of goals has one.
  std::chrono::milliseconds lock_wait{5000};
  /// Asked every few milliseconds while the lock is waited for; true ends the wait.
  std::function<bool()> stop_requested;
  /// Whether begin() may make a table (and load its module) that the network namespace lacks.
  bool create_tables = false;
  std::shared_ptr<SeenShapes> seen = make_seen_shapes();
};

/// Backend and watch belong to one thread, and to the network namespace in which they are made.
[[nodiscard]] std::unique_ptr<chains::ChainBackend> make_legacy_backend(LegacyOptions options);
[[nodiscard]] std::unique_ptr<ChangeWatch> make_legacy_watch(LegacyOptions options);

}  // namespace nmanager::iptables_legacy
