#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "hooks/iptables_legacy/family.h"
#include "hooks/iptables_legacy/kernel.h"
#include "hooks/iptables_legacy/legacy_backend.h"

namespace nmanager::iptables_legacy {

Result<bool> table_exists(TableId id) {
  const char* path = with_family(id.family, []<class F>(F) { return F::kNamesFile; });
  errno = 0;
  std::ifstream names(path);
  if (!names) {
    // Without the module there is no file; an answer, not a failure.
    if (errno == ENOENT) return false;
    const ErrorKind kind = errno == EACCES ? ErrorKind::kDenied : ErrorKind::kUnavailable;
    return Error{kind, std::string(path) + ": " + std::strerror(errno)};
  }
  for (std::string line; std::getline(names, line);) {
    if (line == to_string(id.table)) return true;
  }
  return false;
}

bool legacy_table_exists(TableId id) {
  const auto exists = table_exists(id);
  return exists.ok() && *exists;
}

std::string lock_file_path() {
  const char* path = std::getenv("XTABLES_LOCKFILE");
  return path != nullptr && *path != '\0' ? path : "/run/xtables.lock";
}

std::shared_ptr<SeenShapes> make_seen_shapes() {
  return std::make_shared<SeenShapes>();
}

}  // namespace nmanager::iptables_legacy
