#include "hooks/iptables_legacy/kernel.h"

#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "hooks/iptables_legacy/family.h"

namespace nmanager::iptables_legacy {

namespace {

/// Attempts to read a table that is resized between the query for its size and the copy.
constexpr int kReadAttempts = 20;

template <class F>
std::optional<TableShape> get_shape(int fd, std::string_view table) {
  typename F::Info info{};
  std::ranges::copy(table, info.name);
  socklen_t size = sizeof info;
  if (getsockopt(fd, F::kLevel, F::kGetInfo, &info, &size) != 0) return std::nullopt;
  TableShape shape;
  shape.valid_hooks = info.valid_hooks;
  std::ranges::copy(info.hook_entry, shape.hook_entry.begin());
  std::ranges::copy(info.underflow, shape.underflow.begin());
  for (std::size_t hook = 0; hook < kHookCount; ++hook) {
    if ((info.valid_hooks >> hook & 1) != 0) continue;
    shape.hook_entry[hook] = shape.underflow[hook] = 0;  // the writer may have left any value there
  }
  shape.num_entries = info.num_entries;
  shape.size = info.size;
  return shape;
}

/// New zeroed pages; huge pages if available, which saves thousands of page faults.
void* map_pages(std::size_t size, int protection) {
  constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  void* pages = mmap(nullptr, size, protection, kFlags, -1, 0);
  if (pages == MAP_FAILED) return nullptr;
  madvise(pages, size, MADV_HUGEPAGE);  // only a hint; a kernel without them ignores it
  return pages;
}

template <class F>
void write_request(void* pages, std::string_view table, const TableShape& shape) {
  typename F::GetEntries request{};
  std::ranges::copy(table, request.name);
  request.size = shape.size;
  std::memcpy(pages, &request, sizeof request);
}

template <class F>
std::optional<TableCopy> get_entries(int fd, std::string_view table, const TableShape& shape) {
  using Head = typename F::GetEntries;
  const std::size_t size = sizeof(Head) + shape.size;
  void* pages = map_pages(size, PROT_READ | PROT_WRITE);
  if (pages == nullptr) return std::nullopt;
  TableCopy copy(pages, size, offsetof(Head, entrytable), shape.size, shape);
  write_request<F>(pages, table, shape);
  auto length = static_cast<socklen_t>(size);
  if (getsockopt(fd, F::kLevel, F::kGetEntries, pages, &length) != 0) return std::nullopt;
  return copy;
}

/// The whole range is reserved, so that no other mapping can follow the accessible pages.
template <class F>
std::optional<TableCopy> get_front(int fd, std::string_view table, const TableShape& shape) {
  using Head = typename F::GetEntries;
  const std::size_t size = sizeof(Head) + shape.size;
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  const std::size_t wanted = sizeof(Head) + *std::ranges::max_element(shape.underflow);
  const std::size_t open = std::min(size, (wanted / page + 1) * page);
  void* pages = map_pages(size, PROT_NONE);
  if (pages == nullptr) return std::nullopt;
  TableCopy copy(pages, size, offsetof(Head, entrytable), open - sizeof(Head), shape);
  if (mprotect(pages, open, PROT_READ | PROT_WRITE) != 0) return std::nullopt;
  write_request<F>(pages, table, shape);
  auto length = static_cast<socklen_t>(size);
  const int done = getsockopt(fd, F::kLevel, F::kGetEntries, pages, &length);
  return done == 0 || errno == EFAULT ? std::optional(std::move(copy)) : std::nullopt;
}

}  // namespace

Error kernel_error(Family family, std::string_view table, const std::string& doing, int error) {
  const std::string name = std::string(to_string(family)) + ' ' + std::string(table);
  const std::string what = "iptables-legacy, " + name + ": " + doing + ": ";
  switch (error) {
    case EAGAIN:
      return {ErrorKind::kRetry, what + "another program changed the table in the meantime"};
    case EPERM:
    case EACCES:
      return {ErrorKind::kDenied, what + "not permitted (CAP_NET_ADMIN is needed)"};
    case ENOENT:
    case ENOPROTOOPT:
    case EAFNOSUPPORT:
    case EPROTONOSUPPORT:
      return {ErrorKind::kUnsupported,
              what + "the kernel has no " + name + " table of iptables-legacy"};
    default:
      return {ErrorKind::kUnavailable, what + std::strerror(error)};
  }
}

TableCopy::TableCopy(TableCopy&& other) noexcept
    : pages_(std::exchange(other.pages_, nullptr)),
      mapped_(other.mapped_),
      offset_(other.offset_),
      count_(other.count_),
      shape_(other.shape_) {}

TableCopy::~TableCopy() {
  if (pages_ != nullptr) munmap(pages_, mapped_);
}

Result<TableSocket> TableSocket::open(Family family) {
  sys::Fd fd(with_family(
      family, []<class F>(F) { return socket(F::kDomain, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW); }));
  if (fd.valid()) return TableSocket(family, std::move(fd));
  const std::string what(to_string(family));
  if (errno == EAFNOSUPPORT) {
    return Error{ErrorKind::kUnsupported, "iptables-legacy: the kernel has no " + what};
  }
  const bool denied = errno == EPERM;
  return Error{denied ? ErrorKind::kDenied : ErrorKind::kUnavailable,
               "iptables-legacy: raw " + what + " socket: " + std::strerror(errno) +
                   (denied ? " (CAP_NET_RAW is needed)" : "")};
}

Result<TableShape> TableSocket::shape(std::string_view table) const {
  const auto shape =
      with_family(family_, [&]<class F>(F) { return get_shape<F>(fd_.get(), table); });
  if (shape) return *shape;
  return kernel_error(family_, table, "reading the size", errno);
}

Result<TableCopy> TableSocket::read(std::string_view table) const {
  for (int attempt = 0; attempt < kReadAttempts; ++attempt) {
    auto before = shape(table);
    if (!before) return before.error();
    auto copy =
        with_family(family_, [&]<class F>(F) { return get_entries<F>(fd_.get(), table, *before); });
    if (copy) return std::move(*copy);
    if (errno != EAGAIN) break;
  }
  return kernel_error(family_, table, "reading the rules", errno);
}

Result<TableCopy> TableSocket::read_front(std::string_view table, const TableShape& shape) const {
  auto copy =
      with_family(family_, [&]<class F>(F) { return get_front<F>(fd_.get(), table, shape); });
  if (copy) return std::move(*copy);
  return kernel_error(family_, table, "reading the hooks", errno);
}

bool TableSocket::has(const xt::Extension& extension) const {
  xt_get_revision request{};
  std::ranges::copy(extension.name, request.name);
  request.revision = extension.revision;
  socklen_t size = sizeof request;
  return with_family(family_, [&]<class F>(F) {
    const int option = extension.is_target ? F::kTargetRevision : F::kMatchRevision;
    return getsockopt(fd_.get(), F::kLevel, option, &request, &size) >= 0;
  });
}

}  // namespace nmanager::iptables_legacy
