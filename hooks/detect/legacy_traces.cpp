#include "hooks/detect/legacy_traces.h"

#include <algorithm>

#include "hooks/iptables_legacy/blob.h"
#include "hooks/iptables_legacy/family.h"

namespace nmanager::detect {

namespace {

using std::chrono::steady_clock;

/// The pause between two reads of a table, as a multiple of the duration of a read: 1 % of a core.
constexpr int kPauseFactor = 100;

}  // namespace

template <class F>
Result<bool> LegacyTraces::look(std::string_view table, std::span<const std::string_view> chains) {
  const auto key = std::pair(F::kFamily, std::string(table));
  const auto exists = iptables_legacy::table_exists(F::kFamily, table);
  if (!exists) return exists.error();
  if (!*exists) {
    seen_.erase(key);
    return false;
  }
  const auto socket = iptables_legacy::TableSocket::open(F::kFamily);
  if (!socket) return socket.error();
  const auto shape = socket->shape(table);
  if (!shape) return shape.error();
  const auto start = steady_clock::now();
  std::optional<Seen>& seen = seen_[key];
  if (seen && (seen->shape == *shape || start - seen->at < kPauseFactor * seen->cost)) {
    return seen->found;
  }
  const auto copy = socket->read(table);
  if (!copy) return copy.error();
  const auto blob = iptables_legacy::BlobIndex<F>::build(copy->entries(), copy->shape());
  if (!blob) return blob.error();
  const bool found = std::ranges::any_of(blob->user_chains(), [&](const auto& chain) {
    return std::ranges::find(chains, chain.name) != chains.end();
  });
  seen = {copy->shape(), found, start, steady_clock::now() - start};
  return found;
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
