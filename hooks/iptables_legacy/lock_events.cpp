#include "hooks/iptables_legacy/lock_events.h"

#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>

namespace nmanager::iptables_legacy {

namespace {

constexpr std::uint32_t kFileEvents = IN_CLOSE_NOWRITE | IN_CLOSE_WRITE;
constexpr std::uint32_t kDirectoryEvents = IN_CREATE | IN_MOVED_TO | IN_ONLYDIR;

}  // namespace

LockEvents::LockEvents(const std::string& path) : path_(path) {
  const std::filesystem::path split(path);
  directory_ = split.has_parent_path() ? split.parent_path().string() : ".";
  name_ = split.filename().string();
  fd_ = sys::Fd(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  watch_directory();
  watch_file();
}

void LockEvents::watch_directory() {
  if (!fd_.valid() || directory_watch_ >= 0) return;
  directory_watch_ = inotify_add_watch(fd_.get(), directory_.c_str(), kDirectoryEvents);
}

/// Sets the watch on the file that has the name now; the watch of an unchanged inode stays the
/// same.
void LockEvents::watch_file() {
  if (!fd_.valid()) return;
  const int watch = inotify_add_watch(fd_.get(), path_.c_str(), kFileEvents);
  if (watch < 0 || watch == file_watch_) return;
  if (file_watch_ >= 0) inotify_rm_watch(fd_.get(), file_watch_);
  file_watch_ = watch;
}

std::uint64_t LockEvents::take() {
  std::uint64_t cycles = 0;
  alignas(inotify_event) std::array<char, 4096> buffer;
  for (;;) {
    const ssize_t size = !fd_.valid() ? -1 : read(fd_.get(), buffer.data(), buffer.size());
    if (size <= 0) break;
    for (std::size_t at = 0; at < static_cast<std::size_t>(size);) {
      inotify_event event;
      std::memcpy(&event, buffer.data() + at, sizeof event);
      const char* name = buffer.data() + at + sizeof event;
      at += sizeof event + event.len;
      if ((event.mask & IN_Q_OVERFLOW) != 0) ++cycles;
      if (event.wd == directory_watch_ && event.len > 0 && name_ == name) {
        ++cycles;
        watch_file();
      }
      if (event.wd == file_watch_ && (event.mask & kFileEvents) != 0) ++cycles;
      if ((event.mask & IN_IGNORED) == 0) continue;
      if (event.wd == directory_watch_) directory_watch_ = -1;
      if (event.wd == file_watch_) file_watch_ = -1;
    }
  }
  const bool directory_is_new = directory_watch_ < 0;
  watch_directory();
  if (file_watch_ < 0 || directory_is_new) watch_file();
  return cycles;
}

}  // namespace nmanager::iptables_legacy
