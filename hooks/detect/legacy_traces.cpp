#include "hooks/detect/legacy_traces.h"

#include <linux/netfilter/x_tables.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <memory>

#include "hooks/iptables_legacy/entry.h"
#include "hooks/iptables_legacy/family.h"
#include "hooks/netlink/socket.h"

namespace nmanager::detect {

namespace {

using std::chrono::steady_clock;

/// A table is not read again before so many times what reading it took: 1 % of a core.
constexpr int kPauseFactor = 100;
/// Between asking for the size and reading somebody may resize the table.
constexpr int kReads = 5;

/// Is the table there already? Asking by socket option would make it, and load its module.
template <class F>
bool is_listed(std::string_view table) {
  std::ifstream names(F::kNamesFile);
  for (std::string name; std::getline(names, name);) {
    if (name == table) return true;
  }
  return false;
}

template <class F>
bool get_info(int socket, std::string_view table, typename F::Info& info) {
  info = {};
  std::ranges::copy(table, info.name);
  socklen_t size = sizeof info;
  return ::getsockopt(socket, F::kLevel, F::kGetInfo, &info, &size) == 0;
}

/// A user chain begins with an entry whose target is ERROR and holds its name (libiptc.c).
template <class F>
bool holds_any(iptables_legacy::Span entries, std::span<const std::string_view> chains) {
  while (const auto frame = iptables_legacy::frame_of<F>(entries)) {
    const iptables_legacy::Span entry = entries.first(frame->next_offset);
    const auto target = iptables_legacy::extension_at(entry, frame->target_offset);
    if (target && target->name == XT_ERROR_TARGET) {
      const std::string_view name = iptables_legacy::fixed_string(
          reinterpret_cast<const char*>(target->data.data()), target->data.size());
      if (std::ranges::find(chains, name) != chains.end()) return true;
    }
    entries = entries.subspan(frame->next_offset);
  }
  return false;
}

/// Pages of their own, given back at once: a table may have 66 MB.
struct Unmap {
  std::size_t size;
  void operator()(void* pages) const { ::munmap(pages, size); }
};
using Pages = std::unique_ptr<void, Unmap>;

Pages map_pages(std::size_t size) {
  void* const pages =
      ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return Pages(pages == MAP_FAILED ? nullptr : pages, Unmap{size});
}

/// `capability`: without which the call is not permitted.
Error refused(std::string_view table, int code, const char* capability) {
  const bool denied = code == EPERM || code == EACCES;
  return {denied ? ErrorKind::kDenied : ErrorKind::kRetry,
          "reading the iptables-legacy table " + std::string(table) + ": " + std::strerror(code) +
              (denied ? std::string(" (") + capability + " is needed)" : "")};
}

/// As of `info`; the errno when it could not be read, EAGAIN: it has another size by now.
template <class F>
std::pair<bool, int> read_table(int socket, const typename F::Info& info,
                                std::span<const std::string_view> chains) {
  using Head = typename F::GetEntries;
  const std::size_t size = sizeof(Head) + info.size;
  const Pages pages = map_pages(size);
  if (!pages) return {false, ENOMEM};
  Head head{};
  std::memcpy(head.name, info.name, sizeof head.name);
  head.size = info.size;
  std::memcpy(pages.get(), &head, sizeof head);
  auto length = static_cast<socklen_t>(size);
  if (::getsockopt(socket, F::kLevel, F::kGetEntries, pages.get(), &length) != 0) {
    return {false, errno};
  }
  const auto* const bytes = static_cast<const std::uint8_t*>(pages.get());
  return {holds_any<F>({bytes + offsetof(Head, entrytable), info.size}, chains), 0};
}

}  // namespace

template <class F>
Result<bool> LegacyTraces::look(std::string_view table, std::span<const std::string_view> chains) {
  const auto key = std::pair(F::kFamily, std::string(table));
  if (!is_listed<F>(table)) {
    seen_.erase(key);
    return false;
  }
  const netlink::UniqueFd socket(::socket(F::kDomain, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW));
  if (!socket.valid()) return refused(table, errno, "CAP_NET_RAW");
  int code = EAGAIN;
  for (int read = 0; read < kReads && code == EAGAIN; ++read) {
    typename F::Info info;
    if (!get_info<F>(socket.get(), table, info)) {
      return refused(table, errno, "CAP_NET_ADMIN");
    }
    const auto* const bytes = reinterpret_cast<const std::uint8_t*>(&info);
    const auto start = steady_clock::now();
    Seen& seen = seen_[key];
    const bool same = std::ranges::equal(seen.shape, std::span(bytes, sizeof info));
    if (same || (!seen.shape.empty() && start - seen.at < kPauseFactor * seen.cost)) {
      return seen.found;
    }
    bool found = false;
    std::tie(found, code) = read_table<F>(socket.get(), info, chains);
    if (code != 0) continue;
    seen = {{bytes, bytes + sizeof info}, found, start, steady_clock::now() - start};
    return found;
  }
  return refused(table, code, "CAP_NET_ADMIN");
}

Result<bool> LegacyTraces::any_chain(std::string_view table,
                                     std::span<const std::string_view> chains) {
  for (const Family family : kFamilies) {
    const auto found =
        iptables_legacy::with_family(family, [&]<class F>(F) { return look<F>(table, chains); });
    if (!found || *found) return found;
  }
  return false;
}

}  // namespace nmanager::detect
