// Detects that a file was changed, replaced, created or removed, even if it is reached through
// symlinks that are replaced (a ConfigMap volume replaces `..data`) or does not exist yet.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace nmanager::neighbour {

/// One thread only, which polls fd() together with its other descriptors.
class FileWatch {
 public:
  explicit FileWatch(std::vector<std::string> paths);
  ~FileWatch();
  FileWatch(const FileWatch&) = delete;
  FileWatch& operator=(const FileWatch&) = delete;

  /// Readable when drain() may report a change; -1: no inotify, call drain() periodically.
  [[nodiscard]] int fd() const { return fd_; }
  /// The paths, as given, whose file was replaced or written since the last call. Does not wait.
  /// May be called at any time, for example by a timer, since a renamed ancestor of the directory
  /// causes no event.
  [[nodiscard]] std::vector<std::string> drain();
  /// Replaces the watched paths. The present state of a new path is the base for later changes. For
  /// a path that is already watched, a change since the last drain() is still reported.
  void set_paths(std::vector<std::string> paths);

 private:
  /// Identity and times of the file that a path resolves to; nullopt: no such file.
  struct Stamp {
    unsigned long long device = 0;
    unsigned long long inode = 0;
    long long size = 0;
    long long modified_ns = 0;
    long long changed_ns = 0;
    bool operator==(const Stamp&) const = default;
  };
  [[nodiscard]] static std::optional<Stamp> stamp_of(const std::string& path);

  void read_events();
  void arm();

  int fd_;
  std::map<std::string, std::optional<Stamp>> stamps_;  // by path
  std::set<int> watches_;
};

}  // namespace nmanager::neighbour
