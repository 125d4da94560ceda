// The iptables-legacy implementation of hooks/intent/backend.h: the tables of ip_tables.ko and
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

/// $XTABLES_LOCKFILE, else /run/xtables.lock, like libxtables.
[[nodiscard]] std::string lock_file_path();

/// The shapes of tables as a backend last wrote or read them; opaque here.
class SeenShapes;
[[nodiscard]] std::shared_ptr<SeenShapes> make_seen_shapes();

/// A backend and a watch that are created from copies of one LegacyOptions share `seen`, by which
/// the watch recognizes the backend's commits. With separate options the watch reports each of our
/// commits once as a change, which only costs an extra read.
struct LegacyOptions {
  std::string lock_file = lock_file_path();
  /// Upper bound of the wait for the lock; a sync() waits at most once this long, for any number of
  /// goals. The sync then fails with kRetry.
  std::chrono::milliseconds lock_wait{5000};
  /// Called at least every 5 ms while waiting for the lock; true ends the wait. May be empty.
  std::function<bool()> stop_requested;
  /// Whether begin() may create a table (and load its module) that the network namespace lacks.
  bool create_tables = false;
  std::shared_ptr<SeenShapes> seen = make_seen_shapes();
};

/// Backend and watch belong to one thread, and to the network namespace in which they are created.
[[nodiscard]] std::unique_ptr<chains::ChainBackend> make_legacy_backend(LegacyOptions options);
[[nodiscard]] std::unique_ptr<ChangeWatch> make_legacy_watch(LegacyOptions options);

}  // namespace nmanager::iptables_legacy
