#include "hooks/iptables_legacy/legacy_backend.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "hooks/intent/kube_checksum.h"
#include "hooks/iptables_legacy/blob.h"
#include "hooks/iptables_legacy/family.h"
#include "hooks/iptables_legacy/kernel.h"
#include "hooks/iptables_legacy/lock.h"
#include "hooks/iptables_legacy/lock_events.h"
#include "hooks/iptables_legacy/transaction.h"
#include "hooks/values/hash.h"
#include "hooks/values/kube_chain.h"

namespace nmanager::iptables_legacy {

namespace {

/// Identifies kube-proxy's last sync: it takes the lock at every sync.
struct StampKey {
  std::uint32_t num_entries = 0;
  std::uint32_t size = 0;
  std::uint64_t lock_cycles = 0;
  bool operator==(const StampKey&) const = default;
};

KubeStamp stamp_of(const StampKey& key) {
  const std::array<std::uint64_t, 3> words{key.num_entries, key.size, key.lock_cycles};
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(words.data());
  const KubeStamp stamp = hash_bytes(std::span(bytes, sizeof words));
  return stamp == 0 ? 1 : stamp;
}

/// The entry without the parts that depend on its table: counters, fields that only the kernel
/// writes, and the offset that a jump (or a rule without -j) goes to are set to zero.
template <class F>
Span comparable(Span entry, std::vector<std::uint8_t>& scratch) {
  using Entry = typename F::Entry;
  scratch.assign(entry.begin(), entry.end());
  std::memset(scratch.data() + offsetof(Entry, comefrom), 0, sizeof(Entry::comefrom));
  std::memset(scratch.data() + offsetof(Entry, counters), 0, sizeof(Entry::counters));
  const std::size_t at = frame_of<F>(entry)->target_offset;
  const auto target = extension_at(entry, at);
  if (!target || target->name != XT_STANDARD_TARGET) return scratch;
  const auto verdict = load<int>(target->data);
  if (verdict && *verdict >= 0) {
    std::memset(scratch.data() + at + offsetof(xt_standard_target, verdict), 0, sizeof(int));
  }
  return scratch;
}

template <class F>
KubeChecksum checksum_of(const BlobIndex<F>& blob, bool& any) {
  KubeChecksum result;
  ChecksumSum sum;
  std::vector<std::uint8_t> scratch;
  for (const BlobChain& chain : blob.user_chains()) {
    if (!is_kube_chain(chain.name)) continue;
    any = true;
    const bool services = chain.name == kKubeServices;
    if (services) result.present = result.empty = true;
    sum.add_chain(chain.name);
    blob.for_each_rule(chain, [&](Span entry, std::string_view jump_to) {
      if (services) result.empty = false;
      sum.add_rule(chain.name, comparable<F>(entry, scratch), jump_to);
    });
  }
  result.sum = sum.sum();
  return result;
}

class LegacyBackend final : public chains::ChainBackend {
 public:
  explicit LegacyBackend(LegacyOptions options)
      : options_(std::move(options)),
        lock_(options_.lock_file, options_.lock_wait, options_.stop_requested),
        lock_events_(options_.lock_file) {}

  [[nodiscard]] std::string_view name() const override { return "iptables-legacy"; }
  [[nodiscard]] bool replaces_tables() const override { return true; }
  [[nodiscard]] std::chrono::nanoseconds now() const override {
    return std::chrono::steady_clock::now().time_since_epoch();
  }

  [[nodiscard]] Result<std::unique_ptr<chains::Transaction>> begin(TableId id) override {
    return begin(id, nullptr);
  }

  [[nodiscard]] Result<std::unique_ptr<chains::Transaction>> begin_expecting(
      TableId id, const chains::ChainDigests& expected, const ChoosePart& /*part*/) override {
    return begin(id, &expected);
  }

  [[nodiscard]] std::shared_ptr<void> hold(std::span<const Goal> goals) override {
    struct Held {
      explicit Held(XtablesLock& lock) : round(lock) {}
      XtablesLock::Round round;
      std::optional<XtablesLock::Guard> guard;
    };
    auto held = std::make_shared<Held>(lock_);
    if (!std::ranges::any_of(goals, [&](const Goal& goal) { return may_begin(goal.id).ok(); })) {
      return held;
    }
    if (auto guard = lock_.acquire()) held->guard.emplace(std::move(*guard));
    return held;
  }

  [[nodiscard]] Result<KubeStamp> kube_stamp(Family family) override {
    const TableId nat{family, Table::kNat};
    const auto exists = table_exists(nat);
    if (!exists) return exists.error();
    if (!*exists) return KubeStamp{0};
    const auto key = stamp_key(family);
    if (!key) return key.error();
    return without_kube_[nat] == *key ? KubeStamp{0} : stamp_of(*key);
  }

  [[nodiscard]] Result<KubeChecksum> kube_checksum(Family family) override {
    const TableId nat{family, Table::kNat};
    const auto exists = table_exists(nat);
    if (!exists) return exists.error();
    if (!*exists) return KubeChecksum{};
    const auto key =
        stamp_key(family);  // before the read, so that a later change changes the stamp
    if (!key) return key.error();
    bool any = false;
    auto sum = with_family(family, [&]<class F>(F) { return read_checksum<F>(any); });
    if (sum && !any) without_kube_[nat] = *key;
    return sum;
  }

  [[nodiscard]] std::optional<std::chrono::nanoseconds> lock_waited() const override {
    return lock_.waited();
  }

 private:
  [[nodiscard]] bool is_large(const Goal& goal) override {
    constexpr std::size_t kManyAddresses = 1'024;  // of two rules each, at least
    constexpr std::uint32_t kManyEntries = 4'096;
    if (goal.id.table != Table::kNat) return false;  // few rules of ours
    const ExternalCluster* external = only_external_of(*goal.spec);
    if (external != nullptr && external->addresses.size() > kManyAddresses) return true;
    if (!may_begin(goal.id)) return false;
    const auto socket = socket_of(goal.id.family);
    if (!socket) return false;
    const auto shape = (*socket)->shape(to_string(goal.id.table));
    return shape && shape->num_entries > kManyEntries;
  }

  [[nodiscard]] Result<std::unique_ptr<chains::Transaction>> begin(
      TableId id, const chains::ChainDigests* expected) {
    if (const Status may = may_begin(id); !may) return may.error();
    auto socket = socket_of(id.family);
    if (!socket) return socket.error();
    auto guard = lock_.acquire();
    if (!guard) return guard.error();
    return begin_transaction({id, **socket, *options_.seen, memory_[id]}, std::move(*guard),
                             expected);
  }

  [[nodiscard]] Status may_begin(TableId id) const {
    if (options_.create_tables) return {};
    const auto exists = table_exists(id);
    if (!exists) return exists.error();
    if (*exists) return {};
    return Error{ErrorKind::kAbsent,
                 "no " + to_string(id) + " table of iptables-legacy in this network namespace"};
  }

  /// Opened at first use: a host without IPv6 has no such sockets.
  [[nodiscard]] Result<TableSocket*> socket_of(Family family) {
    auto& socket = sockets_[static_cast<std::size_t>(family)];
    if (!socket) {
      auto opened = TableSocket::open(family);
      if (!opened) return opened.error();
      socket.emplace(std::move(*opened));
    }
    return &*socket;
  }

  [[nodiscard]] Result<StampKey> stamp_key(Family family) {
    auto socket = socket_of(family);
    if (!socket) return socket.error();
    const auto shape = (*socket)->shape(to_string(Table::kNat));
    if (!shape) return shape.error();
    lock_cycles_ += lock_events_.take();
    return StampKey{shape->num_entries, shape->size, lock_cycles_};
  }

  template <class F>
  [[nodiscard]] Result<KubeChecksum> read_checksum(bool& any) {
    auto socket = socket_of(F::kFamily);
    if (!socket) return socket.error();
    const auto copy = (*socket)->read(to_string(Table::kNat));
    if (!copy) return copy.error();
    const auto blob = BlobIndex<F>::build(copy->entries(), copy->shape());
    if (!blob) return blob.error();
    return checksum_of(*blob, any);
  }

  LegacyOptions options_;
  XtablesLock lock_;
  LockEvents lock_events_;
  std::uint64_t lock_cycles_ = 0;
  std::array<std::optional<TableSocket>, 2> sockets_;
  std::map<TableId, TableMemory> memory_;
  std::map<TableId, std::optional<StampKey>>
      without_kube_;  // stamps of reads that found no KUBE-* chain
};

}  // namespace

std::unique_ptr<chains::ChainBackend> make_legacy_backend(LegacyOptions options) {
  return std::make_unique<LegacyBackend>(std::move(options));
}

}  // namespace nmanager::iptables_legacy
