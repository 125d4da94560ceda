// Who goes through the lock: inotify on the lock file and on its directory.
#pragma once

#include <cstdint>
#include <string>

#include "hooks/sys/fd.h"

namespace nmanager::iptables_legacy {

/// Every iptables-legacy command opens the lock file and closes it when it is done; that close is
/// the event. It comes for commands that only look (-S, -C), too. Not seen: writers that keep the
/// file open, or do not lock.
class LockEvents {
 public:
  explicit LockEvents(const std::string& path);

  /// Readable when take() has something; -1 when the kernel gave no inotify instance.
  [[nodiscard]] int fd() const { return fd_.get(); }
  /// Cycles since the last call, without blocking; a file made anew counts as one. Also sets up
  /// watches that could not be set before.
  std::uint64_t take();

 private:
  void watch_directory();
  void watch_file();

  std::string path_;
  std::string directory_;
  std::string name_;
  sys::Fd fd_;
  int directory_watch_ = -1;
  int file_watch_ = -1;
};

}  // namespace nmanager::iptables_legacy
