#include "hooks/detect/legacy_traces.h"

#include <algorithm>
#include <cstdint>

#include "hooks/intent/kube_checksum.h"
#include "hooks/iptables_legacy/blob.h"
#include "hooks/iptables_legacy/family.h"
#include "hooks/values/kube_chain.h"

namespace nmanager::detect {

namespace {

using std::chrono::steady_clock;

/// The pause between two reads of a table, as a multiple of the duration of a read: 1 % of a core.
constexpr int kPauseFactor = 100;

template <class F>
std::uint64_t stamp_of(const iptables_legacy::BlobIndex<F>& blob) {
  ChecksumSum sum;
  for (const auto& chain : blob.user_chains()) {
    if (!is_kube_chain(chain.name)) continue;
    sum.add_chain(chain.name);
    std::uint64_t rules = 0;
    blob.for_each_rule(chain, [&](const auto&, const auto&) { ++rules; });
    const auto* const bytes = reinterpret_cast<const std::uint8_t*>(&rules);
    sum.add_rule(chain.name, {bytes, sizeof rules}, {});
  }
  return sum.sum();
}

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
  seen = {copy->shape(), found, stamp_of(*blob), start, steady_clock::now() - start};
  return found;
}

std::uint64_t LegacyTraces::kube_stamp(std::string_view table) const {
  std::uint64_t stamp = 0;
  for (const Family family : kFamilies) {
    const auto seen = seen_.find({family, std::string(table)});
    if (seen != seen_.end() && seen->second) stamp = stamp * 31 + seen->second->kube_stamp;
  }
  return stamp;
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
