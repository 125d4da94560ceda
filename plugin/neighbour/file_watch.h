// Notices that a file was changed, replaced, made or removed, also when it is reached through
// symlinks that are swapped (a ConfigMap volume swaps `..data`) and while it does not exist yet.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace nmanager::neighbour {

/// Used on one thread, which polls fd() together with its other work.
class FileWatch {
 public:
  explicit FileWatch(std::vector<std::string> paths);
  ~FileWatch();
  FileWatch(const FileWatch&) = delete;
  FileWatch& operator=(const FileWatch&) = delete;

  /// Readable when drain() may have something to say; -1: no inotify, call drain() now and then.
  [[nodiscard]] int fd() const { return fd_; }
  /// The paths, as given, of which the file is another one or was written since the last call.
  /// Never blocks; right at any time, so it may also be called by a timer (renamed ancestors of the
  /// directory make no event).
  [[nodiscard]] std::vector<std::string> drain();
  /// Watch these from now on. The state that a new one is in now counts as known; of one that is
  /// watched already nothing is forgotten: a change since the last drain() is still reported.
  void set_paths(std::vector<std::string> paths);

 private:
  /// Identity and age of what a path leads to; nothing: there is no such file.
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
