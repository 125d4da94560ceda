#include "plugin/neighbour/file_watch.h"

#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <deque>
#include <utility>

namespace nmanager::neighbour {

namespace {

// Without IN_MODIFY: a change counts when the writer has closed the file or moved it into place.
constexpr std::uint32_t kEvents = IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE |
                                  IN_CLOSE_WRITE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;
constexpr int kMostLinks = 40;  // as the kernel's own limit, MAXSYMLINKS

std::string read_link(const std::string& path) {
  std::array<char, 4096> target{};
  const ssize_t length = ::readlink(path.c_str(), target.data(), target.size());
  return length > 0 ? std::string(target.data(), static_cast<std::size_t>(length)) : std::string();
}

void push_components(std::deque<std::string>& rest, const std::string& path) {
  std::vector<std::string> components;
  for (std::size_t at = 0; at < path.size();) {
    const std::size_t slash = std::min(path.find('/', at), path.size());
    if (slash > at) components.push_back(path.substr(at, slash - at));
    at = slash + 1;
  }
  rest.insert(rest.begin(), components.begin(), components.end());
}

/// The directories in which a change can make `path` resolve to another file: those that contain a
/// symlink of the path, the file itself, or the first component that does not exist.
std::set<std::string> directories_of(const std::string& path) {
  std::set<std::string> directories;
  std::deque<std::string> rest;
  push_components(rest, path);
  std::string here = path.starts_with('/') ? "/" : ".";
  for (int links = 0; !rest.empty();) {
    const std::string next = here + (here.ends_with('/') ? "" : "/") + rest.front();
    rest.pop_front();
    struct stat status {};
    if (::lstat(next.c_str(), &status) != 0 || (rest.empty() && !S_ISLNK(status.st_mode))) {
      directories.insert(here);
      break;
    }
    if (!S_ISLNK(status.st_mode)) {
      here = next;
      continue;
    }
    directories.insert(here);
    const std::string target = read_link(next);
    if (target.empty() || ++links > kMostLinks) break;
    if (target.starts_with('/')) here = "/";
    push_components(rest, target);
  }
  return directories;
}

}  // namespace

FileWatch::FileWatch(std::vector<std::string> paths)
    : fd_(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) {
  set_paths(std::move(paths));
}

FileWatch::~FileWatch() {
  if (fd_ >= 0) ::close(fd_);
}

void FileWatch::set_paths(std::vector<std::string> paths) {
  const auto known = std::exchange(stamps_, {});
  for (std::string& path : paths) {
    if (!path.empty()) stamps_.try_emplace(std::move(path));
  }
  arm();
  for (auto& [path, stamp] : stamps_) {
    const auto before = known.find(path);
    stamp = before == known.end() ? stamp_of(path) : before->second;
  }
}

std::vector<std::string> FileWatch::drain() {
  read_events();
  arm();  // before stat(): a later change causes an event
  std::vector<std::string> changed;
  for (auto& [path, stamp] : stamps_) {
    const auto now = stamp_of(path);
    if (now == stamp) continue;
    stamp = now;
    changed.push_back(path);
  }
  return changed;
}

std::optional<FileWatch::Stamp> FileWatch::stamp_of(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return std::nullopt;
  const auto nanoseconds = [](const timespec& time) {
    return static_cast<long long>(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
  };
  return Stamp{status.st_dev, status.st_ino, status.st_size, nanoseconds(status.st_mtim),
               nanoseconds(status.st_ctim)};
}

void FileWatch::read_events() {
  // The content of the events does not matter: every path is checked again.
  std::array<char, 4096> events;
  while (fd_ >= 0) {
    const ssize_t got = ::read(fd_, events.data(), events.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return;
  }
}

void FileWatch::arm() {
  if (fd_ < 0) return;
  // Repeat until the directories are the same before and after the watches were set: a directory
  // created in between would not be watched.
  constexpr int kMostRounds = 4;
  std::set<std::string> directories;
  std::set<int> wanted;
  for (int round = 0; round < kMostRounds; ++round) {
    std::set<std::string> found;
    for (const auto& [path, stamp] : stamps_) found.merge(directories_of(path));
    if (round > 0 && found == directories) break;
    directories = std::move(found);
    wanted.clear();
    for (const std::string& directory : directories) {
      // The kernel returns the same number for a directory that is already watched.
      const int watch = ::inotify_add_watch(fd_, directory.c_str(), kEvents);
      if (watch >= 0) wanted.insert(watch);
    }
  }
  for (const int watch : watches_) {
    if (!wanted.contains(watch)) ::inotify_rm_watch(fd_, watch);
  }
  watches_ = std::move(wanted);
}

}  // namespace nmanager::neighbour
