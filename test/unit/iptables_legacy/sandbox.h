// A network namespace and a lock file of one's own, and iptables-legacy in it.
#pragma once

#include <string>
#include <vector>

#include "hooks/iptables_legacy/legacy_backend.h"
#include "test/support/iptables.h"
#include "test/support/net_namespace.h"

namespace nmanager::test {

/// Moves the calling thread to a fresh network namespace, and $XTABLES_LOCKFILE to a fresh
/// directory, both until the end of the object; the namespace before is entered again.
class Sandbox {
 public:
  Sandbox();
  Sandbox(const Sandbox&) = delete;
  Sandbox& operator=(const Sandbox&) = delete;
  ~Sandbox();

  /// False, with the reason printed, where namespaces cannot be made (not root).
  [[nodiscard]] bool usable() const { return namespace_.usable(); }
  [[nodiscard]] const std::string& directory() const { return directory_; }
  [[nodiscard]] const std::string& lock_file() const { return lock_file_; }
  [[nodiscard]] iptables_legacy::LegacyOptions options() const;

 private:
  NetNamespace namespace_;
  std::string directory_;
  std::string lock_file_;
};

/// `command` with another lock file: a writer that we cannot keep out and do not hear.
std::string lockless(const std::string& command);
inline const Iptables& tool() {
  static const Iptables legacy("legacy");
  return legacy;
}
inline std::string iptables(TableId id) {
  return tool().command(id);
}
inline std::string save(TableId id, bool counters = true) {
  return tool().save(id, counters);
}
inline void restore(TableId id, const std::string& lines) {
  tool().restore(id, lines);
}

}  // namespace nmanager::test
