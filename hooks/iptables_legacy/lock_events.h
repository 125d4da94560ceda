// Detects the use of the lock by other processes: inotify on the lock file and on its directory.
#pragma once

#include <cstdint>
#include <string>

#include "hooks/sys/fd.h"

namespace nmanager::iptables_legacy {

/// Every iptables-legacy command opens the lock file and closes it when it is done; the close is
/// the event. Commands that only read (-S, -C) also cause it. Not detected: writers that keep the
/// file open or do not take the lock.
class LockEvents {
 public:
  explicit LockEvents(const std::string& path);

  /// Readable when take() has something to report; -1 if the kernel provides no inotify instance.
  [[nodiscard]] int fd() const { return fd_.get(); }
  /// The number of lock cycles since the last call, without blocking; a new file counts as one.
  /// Also sets the watches that could not be set before.
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
