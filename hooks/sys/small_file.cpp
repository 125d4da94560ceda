#include "hooks/sys/small_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "hooks/sys/fd.h"

namespace nmanager::sys {

namespace {

Error os_error(const std::string& path, int code) {
  const ErrorKind kind = code == ENOENT || code == ENOTDIR ? ErrorKind::kAbsent
                         : code == EACCES || code == EPERM ? ErrorKind::kDenied
                                                           : ErrorKind::kUnavailable;
  return {kind, path + ": " + std::generic_category().message(code)};
}

}  // namespace

Result<std::string> read_small_file(const std::string& path, std::size_t max_bytes) {
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file.valid()) return os_error(path, errno);
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) return os_error(path, errno);
  if (!S_ISREG(status.st_mode))
    return Error{ErrorKind::kBadInput, path + ": is not a regular file"};
  std::string text(max_bytes + 1, '\0');
  std::size_t used = 0;
  while (used < text.size()) {
    const ssize_t got = ::read(file.get(), text.data() + used, text.size() - used);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return os_error(path, errno);
    if (got == 0) break;
    used += static_cast<std::size_t>(got);
  }
  if (used > max_bytes) {
    return Error{ErrorKind::kBadInput,
                 path + ": is larger than " + std::to_string(max_bytes) + " bytes"};
  }
  text.resize(used);
  text.shrink_to_fit();
  return text;
}

}  // namespace nmanager::sys
