#include "hooks/iptables_legacy/lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>
#include <thread>
#include <utility>

namespace nmanager::iptables_legacy {

namespace {

// When the holder closes the file, its watchers are woken microseconds before the kernel releases
// the lock (__fput: fsnotify_close, then locks_remove_file). Therefore the first pauses are short.
constexpr std::chrono::microseconds kFirstPause{50};
constexpr std::chrono::microseconds kLongestPause{5000};

/// Process id of the flock holder of `inode` in /proc/locks, 0 if it is not visible. A line looks
/// like "1: FLOCK  ADVISORY  WRITE 1234 fd:01:5678 0 EOF"; waiters have "->" after the number.
int find_holder(ino_t inode) {
  std::ifstream locks("/proc/locks");
  const std::string wanted = ':' + std::to_string(inode);
  for (std::string line; std::getline(locks, line);) {
    std::istringstream words(line);
    std::string number, kind, advisory, access, file;
    int pid = 0;
    words >> number >> kind >> advisory >> access >> pid >> file;
    if (kind == "FLOCK" && pid > 0 && file.ends_with(wanted)) return pid;
  }
  return 0;
}

std::string process_name(int pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/comm");
  std::string name;
  std::getline(file, name);
  return name;
}

}  // namespace

XtablesLock::XtablesLock(std::string path, std::chrono::milliseconds wait,
                         std::function<bool()> stop_requested)
    : path_(std::move(path)), wait_(wait), stop_requested_(std::move(stop_requested)) {}

Result<XtablesLock::Guard> XtablesLock::acquire() {
  if (guards_ == 0) {
    const auto start = Clock::now();
    const Status locked = wait_for_lock();
    waited_ += Clock::now() - start;
    if (!locked) return locked.error();
  }
  ++guards_;
  return Guard(*this);
}

Status XtablesLock::wait_for_lock() {
  const auto deadline = deadline_.value_or(Clock::now() + wait_);
  auto pause = kFirstPause;
  while (true) {
    const auto got = attempt();
    if (!got) return got.error();
    const auto now = Clock::now();
    if (*got == Attempt::kLocked) {
      busy_since_.reset();
      return {};
    }
    if (!busy_since_) busy_since_ = now;
    if (now >= deadline) {
      return busy("the wait is limited to " + std::to_string(wait_.count()) + " ms");
    }
    if (stop_requested_ && stop_requested_())
      return busy("the wait ended because this process stops");
    std::this_thread::sleep_for(std::min<Clock::duration>(pause, deadline - now));
    pause = std::min(pause * 2, kLongestPause);
  }
}

Result<XtablesLock::Attempt> XtablesLock::attempt() {
  if (fd_.valid() && !is_current()) fd_.reset();
  if (!fd_.valid()) {
    if (const Status opened = open(); !opened) return opened.error();
  }
  if (flock(fd_.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK || errno == EINTR) return Attempt::kBusy;
    return Error{ErrorKind::kUnavailable, "lock " + path_ + ": " + std::strerror(errno)};
  }
  if (is_current()) return Attempt::kLocked;
  fd_.reset();  // removed between open and flock: this lock has no effect
  return Attempt::kBusy;
}

Status XtablesLock::open() {
  // Opened like xtables_lock() does, so that an existing file on a read-only file system works.
  // Non-blocking in case it is a pipe.
  fd_ = sys::Fd(::open(path_.c_str(), O_RDONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0600));
  if (fd_.valid()) return {};
  const bool denied = errno == EACCES || errno == EPERM || errno == EROFS;
  return Error{denied ? ErrorKind::kDenied : ErrorKind::kUnavailable,
               "cannot open lock file " + path_ + ": " + std::strerror(errno)};
}

bool XtablesLock::is_current() const {
  struct stat ours {};
  struct stat named {};
  return fstat(fd_.get(), &ours) == 0 && stat(path_.c_str(), &named) == 0 &&
         ours.st_dev == named.st_dev && ours.st_ino == named.st_ino;
}

Error XtablesLock::busy(const std::string& why) const {
  const auto age = std::chrono::duration_cast<std::chrono::milliseconds>(
      Clock::now() - busy_since_.value_or(Clock::now()));
  return {ErrorKind::kRetry, "lock " + path_ + " has been busy for " + std::to_string(age.count()) +
                                 " ms" + holder() + "; " + why};
}

std::string XtablesLock::holder() const {
  struct stat ours {};
  if (!fd_.valid() || fstat(fd_.get(), &ours) != 0) return {};
  const int pid = find_holder(ours.st_ino);
  if (pid == 0) return ", held by a process that is not visible in /proc/locks";
  return ", held by process " + std::to_string(pid) + " (" + process_name(pid) + ')';
}

void XtablesLock::release() {
  if (--guards_ == 0) flock(fd_.get(), LOCK_UN);
}

XtablesLock::Guard::Guard(Guard&& other) noexcept : lock_(std::exchange(other.lock_, nullptr)) {}

XtablesLock::Guard::~Guard() {
  if (lock_ != nullptr) lock_->release();
}

}  // namespace nmanager::iptables_legacy
