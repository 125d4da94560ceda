// The lock that every iptables-legacy command takes: flock on /run/xtables.lock, one per host.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include "hooks/sys/fd.h"
#include "hooks/values/result.h"

namespace nmanager::iptables_legacy {

/// The file stays open between locks: locking an open file causes no inotify event, so our commits
/// do not wake watchers, including our own. If the file was removed and created again, its inode
/// differs, and the new file is locked. (A file that is bind-mounted into a container stays the old
/// one permanently; mount its directory instead.) One thread only.
class XtablesLock {
 public:
  using Clock = std::chrono::steady_clock;

  /// `wait` bounds one acquire() or Round. `stop_requested` (may be empty) is called while waiting;
  /// true ends the wait.
  XtablesLock(std::string path, std::chrono::milliseconds wait,
              std::function<bool()> stop_requested = {});
  XtablesLock(const XtablesLock&) = delete;
  XtablesLock& operator=(const XtablesLock&) = delete;

  /// Holds the lock during its lifetime. Several may exist at once; the last one unlocks.
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

  /// Blocks until the lock is held or the bound is reached. kRetry: it stayed busy; the message
  /// names the holder if /proc/locks shows it, and for how long the lock has been busy. kDenied,
  /// kUnavailable: the file can be neither opened nor created.
  [[nodiscard]] Result<Guard> acquire();

  /// During its lifetime all calls of acquire() share one deadline, so that a round waits at most
  /// once.
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

  /// Total time spent in acquire(), including failed calls.
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
  std::optional<Clock::time_point> busy_since_;  // since the first failed attempt
  std::chrono::nanoseconds waited_{};
};

}  // namespace nmanager::iptables_legacy
