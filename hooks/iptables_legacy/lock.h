// The lock that every iptables-legacy command takes: flock on /run/xtables.lock, one per host.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include "hooks/sys/fd.h"
#include "hooks/values/result.h"

namespace nmanager::iptables_legacy {

/// The file stays open between locks: locking an open file makes no inotify event, so our own
/// commits do not wake watchers, ourselves included. A file that was removed and made anew is
/// noticed by its inode, and the new one locked. (A file bind-mounted into a container stays the
/// old one for ever; mount its directory.)
class XtablesLock {
 public:
  using Clock = std::chrono::steady_clock;

  /// `stop_requested` (may be empty) is asked while waiting; true ends the wait.
  XtablesLock(std::string path, std::chrono::milliseconds wait,
              std::function<bool()> stop_requested = {});
  XtablesLock(const XtablesLock&) = delete;
  XtablesLock& operator=(const XtablesLock&) = delete;

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

  /// kRetry when it stays busy beyond the bound (names the holder, if /proc/locks does, and tells
  /// since when); kDenied, kUnavailable when the file can neither be opened nor made.
  [[nodiscard]] Result<Guard> acquire();

  /// While it lives every acquire() has one and the same deadline: all that is done in a round has
  /// one wait together.
  class Round {
   public:
    explicit Round(XtablesLock& lock) : lock_(lock) {
      lock_.deadline_ = Clock::now() + lock_.wait_;
    }
    Round(const Round&) = delete;
    Round& operator=(const Round&) = delete;
    ~Round() { lock_.deadline_.reset(); }

   private:
    XtablesLock& lock_;
  };

  /// Time spent in acquire() so far, in vain or not.
  [[nodiscard]] std::chrono::nanoseconds waited() const { return waited_; }

 private:
  enum class Attempt { kLocked, kBusy };

  [[nodiscard]] Status wait_for_lock();
  [[nodiscard]] Result<Attempt> attempt();
  [[nodiscard]] Status open();
  [[nodiscard]] bool is_current() const;
  [[nodiscard]] Error busy(const std::string& why) const;
  [[nodiscard]] std::string holder() const;
  void release();

  std::string path_;
  std::chrono::milliseconds wait_;
  std::function<bool()> stop_requested_;
  sys::Fd fd_;
  int guards_ = 0;
  std::optional<Clock::time_point> deadline_;    // of the round
  std::optional<Clock::time_point> busy_since_;  // as first met
  std::chrono::nanoseconds waited_{};
};

}  // namespace nmanager::iptables_legacy
