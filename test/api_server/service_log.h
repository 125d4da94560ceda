// The Services of a stand-in API server and all their changes, with resourceVersions. Thread safe.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nmanager::test {

using Version = std::uint64_t;

struct LogPage {
  std::vector<std::string> items;  // JSON objects
  Version version = 0;
  std::string next;  // key after which the next page begins; empty: the last page
  std::size_t remaining = 0;
};

struct LogEvent {
  Version version = 0;
  std::string_view type;  // ADDED, MODIFIED, DELETED
  std::string object;
};

struct LogEvents {
  std::vector<LogEvent> events;
  Version version = 0;  // all events up to this version are included
};

class ServiceLog {
 public:
  /// Adds or replaces the Service and sets its resourceVersion. Throws std::invalid_argument if it
  /// is not an object with metadata.name.
  void put(const std::string& json);
  /// False: no such Service.
  bool remove(const std::string& key);
  /// Applies one line of a recorded watch; bookmarks and errors are ignored.
  void replay(const std::string& watch_line);

  /// Forgets the history: every watch from an older version is refused with 410.
  void compact();
  /// Like a restore of etcd from a backup: versions continue from an earlier one.
  void rewind(Version version);
  [[nodiscard]] Version version() const;

  /// Services after the key `after`, at most `limit` (0: all). `selected`: only those that match
  /// kube-proxy's label selector.
  [[nodiscard]] LogPage page(const std::string& after, std::size_t limit, bool selected) const;

  /// The events after `since`; waits up to `patience` for the first one. nullopt: `since` was
  /// compacted.
  [[nodiscard]] std::optional<LogEvents> events_since(Version since, bool selected,
                                                      std::chrono::milliseconds patience) const;

  /// Ends all present and future waits.
  void stop();

 private:
  struct Object {
    std::string json;
    bool selected = true;
  };
  struct Change {
    Version version = 0;
    std::string json;  // the object after the change; if deleted, before it
    bool existed = false;
    bool exists = false;
    bool selected_before = false;
    bool selected_after = false;
  };

  static std::optional<std::string_view> type_of(const Change& change, bool selected);

  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  // All protected by mutex_.
  std::map<std::string, Object> objects_;
  std::vector<Change> changes_;
  Version version_ = 1;
  Version compacted_ = 0;
  bool stopped_ = false;
};

}  // namespace nmanager::test
