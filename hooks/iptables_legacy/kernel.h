// The raw socket options of ip_tables that only read. Each of them makes the kernel create a table
// that does not exist: call table_exists() first.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "hooks/iptables_legacy/entry.h"
#include "hooks/iptables_legacy/shape.h"
#include "hooks/sys/fd.h"
#include "hooks/values/result.h"
#include "hooks/xt/extensions.h"

namespace nmanager::iptables_legacy {

/// Whether the network namespace of the calling thread has the table. A socket option would create
/// it, so this reads /proc (ip_tables_names, ip6_tables_names) and creates nothing. kDenied,
/// kUnavailable: /proc could not be read, so the answer is unknown.
[[nodiscard]] Result<bool> table_exists(Family family, std::string_view table);
[[nodiscard]] inline Result<bool> table_exists(TableId id) {
  return table_exists(id.family, to_string(id.table));
}

/// Converts the errno `error` of a refused read or write of a table; `doing` names the operation.
[[nodiscard]] Error kernel_error(Family family, std::string_view table, const std::string& doing,
                                 int error);
[[nodiscard]] inline Error kernel_error(TableId id, const std::string& doing, int error) {
  return kernel_error(id.family, to_string(id.table), doing, error);
}

/// A table's entries in separately mapped pages, which are unmapped at the end: a big table has 66
/// MB.
class TableCopy {
 public:
  /// `count` bytes of entries are at `offset` in `pages`; takes ownership of the mapping.
  TableCopy(void* pages, std::size_t mapped, std::size_t offset, std::size_t count,
            const TableShape& shape)
      : pages_(pages), mapped_(mapped), offset_(offset), count_(count), shape_(shape) {}
  TableCopy(TableCopy&& other) noexcept;
  TableCopy& operator=(TableCopy&&) = delete;
  ~TableCopy();

  [[nodiscard]] const TableShape& shape() const { return shape_; }
  [[nodiscard]] Span entries() const {
    return {static_cast<const std::uint8_t*>(pages_) + offset_, count_};
  }

 private:
  void* pages_;
  std::size_t mapped_;
  std::size_t offset_;
  std::size_t count_;
  TableShape shape_;
};

/// A raw socket of one family, bound to the network namespace in which it was created.
class TableSocket {
 public:
  [[nodiscard]] static Result<TableSocket> open(Family family);
  [[nodiscard]] Result<TableShape> shape(std::string_view table) const;
  /// Atomic. kRetry if other programs resize the table faster than it can be read.
  [[nodiscard]] Result<TableCopy> read(std::string_view table) const;
  /// Only the first entries, up to the last policy: the kernel fills the accessible pages in order
  /// and stops at the first missing one. `shape` must be the present one. Only a hint: it depends
  /// on libiptc, which writes the built-in chains first.
  [[nodiscard]] Result<TableCopy> read_front(std::string_view table, const TableShape& shape) const;
  /// Whether the kernel has, or can load, the match or target.
  [[nodiscard]] bool has(const xt::Extension& extension) const;

 private:
  TableSocket(Family family, sys::Fd fd) : family_(family), fd_(std::move(fd)) {}

  Family family_;
  sys::Fd fd_;
};

}  // namespace nmanager::iptables_legacy
