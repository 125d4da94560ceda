#include <array>
#include <optional>
#include <utility>

#include "hooks/iptables_legacy/kernel.h"
#include "hooks/iptables_legacy/legacy_backend.h"
#include "hooks/iptables_legacy/lock_events.h"
#include "hooks/iptables_legacy/shape.h"

namespace nmanager::iptables_legacy {

namespace {

/// A lock cycle is an immediate hint. In addition the shapes of the tables are polled, for writers
/// that do not lock (or that lock a file which stays open).
class LegacyWatch final : public ChangeWatch {
 public:
  explicit LegacyWatch(LegacyOptions options)
      : options_(std::move(options)), events_(options_.lock_file) {
    (void)changed_families();  // the present state is not a change
  }

  [[nodiscard]] int fd() const override { return events_.fd(); }

  [[nodiscard]] std::vector<TableChange> drain() override {
    const bool locked = events_.take() > 0;
    const auto changed = changed_families();
    std::vector<TableChange> result;
    // A cycle may also have replaced rules with others of the same size, which does not change the
    // shape.
    if (locked) result.push_back({});
    for (const Family family : kFamilies) {
      if (!changed[static_cast<std::size_t>(family)]) continue;
      TableChange change;
      change.family = family;
      change.certain = true;
      result.push_back(std::move(change));
    }
    return result;
  }

  [[nodiscard]] std::chrono::milliseconds poll_interval() const override {
    return std::chrono::milliseconds(250);
  }

 private:
  using Changed = std::array<bool, kFamilies.size()>;

  [[nodiscard]] Changed changed_families() {
    Changed changed{};
    for (const TableId id : kTables) {
      const auto asked = current(id);
      if (!asked) continue;  // unknown for now, so not reported as a change
      const std::optional<TableShape>& shape = *asked;
      if (shape == options_.seen->last(id)) continue;
      if (shape) {
        options_.seen->record(id, *shape);
      } else {
        options_.seen->forget(id);
      }
      changed[static_cast<std::size_t>(id.family)] = true;
    }
    return changed;
  }

  /// nullopt for a table that does not exist (it is not created).
  [[nodiscard]] Result<std::optional<TableShape>> current(TableId id) {
    const auto exists = table_exists(id);
    if (!exists) return exists.error();
    if (!*exists) return std::optional<TableShape>();
    auto& socket = sockets_[static_cast<std::size_t>(id.family)];
    if (!socket) {
      auto opened = TableSocket::open(id.family);
      if (!opened) return opened.error();
      socket.emplace(std::move(*opened));
    }
    const auto shape = socket->shape(to_string(id.table));
    if (!shape) return shape.error();
    return std::optional(*shape);
  }

  LegacyOptions options_;
  LockEvents events_;
  std::array<std::optional<TableSocket>, kFamilies.size()> sockets_;
};

}  // namespace

std::unique_ptr<ChangeWatch> make_legacy_watch(LegacyOptions options) {
  return std::make_unique<LegacyWatch>(std::move(options));
}

}  // namespace nmanager::iptables_legacy
