#include <cstdlib>
#include <sstream>

#include "hooks/iptables_legacy/family.h"
#include "hooks/iptables_legacy/kernel.h"
#include "hooks/iptables_legacy/legacy_backend.h"
#include "hooks/sys/small_file.h"

namespace nmanager::iptables_legacy {

namespace {

/// Five tables have 29 characters; a kernel of the future may have more.
constexpr std::size_t kMostNames = 4096;

}  // namespace

Result<bool> table_exists(Family family, std::string_view table) {
  const char* path = with_family(family, []<class F>(F) { return F::kNamesFile; });
  const auto names = sys::read_small_file(path, kMostNames);
  // Without the module there is no file; an answer, not a failure.
  if (!names && names.error().kind == ErrorKind::kAbsent) return false;
  if (!names) {
    return Error{names.error().kind,
                 "iptables-legacy tables could not be read: " + names.error().message};
  }
  std::istringstream lines(*names);
  for (std::string line; std::getline(lines, line);) {
    if (line == table) return true;
  }
  return false;
}

std::string lock_file_path() {
  const char* path = std::getenv("XTABLES_LOCKFILE");
  return path != nullptr && *path != '\0' ? path : "/run/xtables.lock";
}

std::shared_ptr<SeenShapes> make_seen_shapes() {
  return std::make_shared<SeenShapes>();
}

}  // namespace nmanager::iptables_legacy
