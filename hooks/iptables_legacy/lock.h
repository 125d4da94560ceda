// The lock that every iptables-legacy command takes: flock on /run/xtables.lock, one per host.
#pragma once

#include <chrono>
#include <string>

#include "hooks/values/result.h"

namespace nmanager::iptables_legacy {

/// The file stays open between locks: locking an open file makes no inotify event, so our own
/// commits do not wake watchers, ourselves included. A file that was removed and made anew is
/// noticed by its inode, and the new one locked. (A file bind-mounted into a container stays the
/// old one for ever; mount its directory.)
class XtablesLock {
 public:
  XtablesLock(std::string path, std::chrono::milliseconds wait);
  XtablesLock(const XtablesLock&) = delete;
  XtablesLock& operator=(const XtablesLock&) = delete;
  ~XtablesLock();

  /// Held as long as the object lives. Several may be held at once; the last one unlocks.
  class Guard {
   public:
    Guard(Guard&& other) noexcept;
    Guard& operator=(Guard&&) = delete;
    ~Guard();

   private:
    friend class XtablesLock;
    explicit Guard(XtablesLock& lock) : lock_(&lock) {}
    XtablesLock* lock_;
  };

  /// kRetry when it stays busy beyond the bound (names the holder, if /proc/locks does);
  /// kUnavailable when the file can neither be opened nor made.
  [[nodiscard]] Result<Guard> acquire();

  /// Time spent in acquire() so far, in vain or not.
  [[nodiscard]] std::chrono::nanoseconds waited() const { return waited_; }

 private:
  enum class Attempt { kLocked, kBusy };

  [[nodiscard]] Status wait_for_lock();
  [[nodiscard]] Result<Attempt> attempt();
  [[nodiscard]] Status open();
  [[nodiscard]] bool is_current() const;
  [[nodiscard]] std::string holder() const;
  void close();
  void release();

  std::string path_;
  std::chrono::milliseconds wait_;
  int fd_ = -1;
  int guards_ = 0;
  std::chrono::nanoseconds waited_{};
};

}  // namespace nmanager::iptables_legacy
