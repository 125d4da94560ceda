#include <cstdlib>
#include <sstream>

#include "hooks/iptables_legacy/family.h"
#include "hooks/iptables_legacy/kernel.h"
#include "hooks/iptables_legacy/legacy_backend.h"
#include "hooks/sys/small_file.h"

namespace nmanager::iptables_legacy {

namespace {

/// The names of the five tables have 29 characters; a future kernel may have more tables.
constexpr std::size_t kMostNames = 4096;

}  // namespace

Result<bool> table_exists(Family family, std::string_view table) {
  const char* path = with_family(family, []<class F>(F) { return F::kNamesFile; });
  const auto names = sys::read_small_file(path, kMostNames);
  // Without the module the file does not exist; this is an answer, not a failure.
  if (!names && names.error().kind == ErrorKind::kAbsent) return false;
  if (!names) {
    return Error{names.error().kind,
                 "cannot read the list of iptables-legacy tables: " + names.error().message};
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
