// A separate network namespace and lock file with iptables-legacy.
#pragma once

#include <string>
#include <vector>

#include "hooks/iptables_legacy/legacy_backend.h"
#include "test/support/iptables.h"
#include "test/support/net_namespace.h"

namespace nmanager::test {

/// Moves the calling thread to a new network namespace and sets $XTABLES_LOCKFILE to a new
/// directory. The destructor undoes both.
class Sandbox {
 public:
  Sandbox();
  Sandbox(const Sandbox&) = delete;
  Sandbox& operator=(const Sandbox&) = delete;
  ~Sandbox();

  /// False, with the reason printed, if namespaces cannot be created (not root).
  [[nodiscard]] bool usable() const { return namespace_.usable(); }
  [[nodiscard]] const std::string& directory() const { return directory_; }
  [[nodiscard]] const std::string& lock_file() const { return lock_file_; }
  [[nodiscard]] iptables_legacy::LegacyOptions options() const;

 private:
  NetNamespace namespace_;
  std::string directory_;
  std::string lock_file_;
};

/// `command` with another lock file: a writer that we can neither block nor detect by the lock.
std::string lockless(const std::string& command);

}  // namespace nmanager::test
