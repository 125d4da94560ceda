#include "hooks/iptables_nft/nft_backend.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "hooks/iptables_nft/chain_cache.h"
#include "hooks/iptables_nft/observe.h"
#include "hooks/iptables_nft/transaction.h"
#include "hooks/netlink/kube_chains.h"
#include "hooks/netlink/objects.h"
#include "hooks/netlink/watch.h"

namespace nmanager::iptables_nft {

namespace {

class Nft final : public chains::ChainBackend {
 public:
  explicit Nft(std::shared_ptr<ChainCache> cache) : cache_(std::move(cache)) {}

  [[nodiscard]] std::string_view name() const override { return "iptables-nft"; }
  [[nodiscard]] std::chrono::nanoseconds now() const override {
    return std::chrono::steady_clock::now().time_since_epoch();
  }

  [[nodiscard]] Result<std::unique_ptr<chains::Transaction>> begin(TableId id) override {
    return read(id, nullptr, {});
  }

  [[nodiscard]] Result<std::unique_ptr<chains::Transaction>> begin_expecting(
      TableId id, const chains::ChainDigests& expected, const ChoosePart& part) override {
    return read(id, &expected, part);
  }

  [[nodiscard]] Result<KubeStamp> kube_stamp(Family family) override {
    return netlink::read_kube_stamp(cache_->netlink(), family);
  }
  [[nodiscard]] Result<KubeChecksum> kube_checksum(Family family) override {
    return netlink::read_kube_checksum(cache_->netlink(), family);
  }

  /// 2 MiB of messages, and about 20 ms of our time; all rules of 40,000 Services would be 160 MiB.
  [[nodiscard]] std::size_t most_rules() const override { return 2'048; }

 private:
  Result<std::unique_ptr<chains::Transaction>> read(TableId id,
                                                    const chains::ChainDigests* expected,
                                                    const ChoosePart& part);
  Result<chains::ObservedTable> observe(TableId id, const chains::ChainDigests* expected,
                                        const ChoosePart& part);
  Result<bool> observe_hooks(TableId id, chains::ObservedTable& observed);
  Status observe_all(TableId id, chains::ObservedTable& observed);
  Status observe_differences(TableId id, const chains::ChainDigests& expected,
                             const ChoosePart& choose, chains::ObservedTable& observed);
  Status show(TableId id, const ChainName& name, chains::ObservedTable& observed);

  std::shared_ptr<ChainCache> cache_;
};

Result<std::unique_ptr<chains::Transaction>> Nft::read(TableId id,
                                                       const chains::ChainDigests* expected,
                                                       const ChoosePart& part) {
  auto reading = cache_->read_consistently(to_string(id) + " (nft)", [&](netlink::Generation now) {
    cache_->doubt_since_proven(id, now);
    return observe(id, expected, part);
  });
  if (!reading) return reading.error();
  cache_->proven(id, reading->generation);
  return std::unique_ptr<chains::Transaction>(std::make_unique<NftTransaction>(
      cache_, id, reading->generation, std::move(reading->content)));
}

Result<chains::ObservedTable> Nft::observe(TableId id, const chains::ChainDigests* expected,
                                           const ChoosePart& part) {
  chains::ObservedTable observed;
  const auto any = observe_hooks(id, observed);
  if (!any) return any.error();
  if (!*any && !cache_->options().create_tables) {
    const auto table = netlink::table_exists(cache_->netlink(), id.family, to_string(id.table));
    if (!table) return table.error();
    if (!*table)
      return Error{ErrorKind::kAbsent, "table " + to_string(id) + " does not exist (nft)"};
  }
  auto inert = netlink::why_inert(cache_->netlink(), id);
  if (!inert) return inert.error();
  observed.inert = std::move(*inert);
  const Status status = expected == nullptr ? observe_all(id, observed)
                                            : observe_differences(id, *expected, part, observed);
  if (!status) return status.error();
  if (id.table == Table::kFilter) {
    const auto kube = netlink::kube_drops_invalid(cache_->netlink(), id.family);
    if (!kube) return kube.error();
    observed.kube_drops_invalid = *kube;
  }
  return observed;
}

/// True if any hook has a rule.
Result<bool> Nft::observe_hooks(TableId id, chains::ObservedTable& observed) {
  bool any = false;
  for (const Hook hook : hooks_of(id.table)) {
    auto rules = read_hook(cache_->netlink(), id, hook);
    if (!rules) return rules.error();
    any = any || !rules->empty();
    observed.hooks[hook] = std::move(rules.value());
  }
  return any;
}

Status Nft::observe_all(TableId id, chains::ObservedTable& observed) {
  if (auto listed = cache_->chains(id).list(cache_->netlink()); !listed) return listed;
  for (const ChainName& name : cache_->chains(id).names()) {
    if (auto shown = show(id, name, observed); !shown) return shown;
  }
  return {};
}

Status Nft::observe_differences(TableId id, const chains::ChainDigests& expected,
                                const ChoosePart& choose, chains::ObservedTable& observed) {
  OwnChains& chains = cache_->chains(id);
  std::vector<ChainName> of_hooks;
  for (const Hook hook : hooks_of(id.table)) of_hooks.push_back(*hook_chain(id.table, hook));
  auto fresh = chains.refresh(cache_->netlink(), of_hooks, rules_at_once());
  if (!fresh) return fresh;
  observed.only_differences = true;
  if (chains.unread() > 0) {
    observed.left = chains.unread();
    observed.unread = true;
    observed.hooks_wait = !std::ranges::all_of(
        of_hooks, [&](const ChainName& name) { return chains.knows(name.view()); });
    return {};
  }
  const chains::Differences& all = chains.compare(expected);
  const auto is_empty = [&](const ChainName& name) { return chains.is_empty(name); };
  const chains::Part part = choose ? choose(all, is_empty) : chains::Part();
  const bool whole = part.chains.empty();
  observed.left = part.left;
  observed.only_removals_left = part.only_removals_left;
  observed.hooks_wait = !whole && std::ranges::any_of(of_hooks, [&](const ChainName& name) {
    return all.missing.contains(name) && !part.chains.contains(name);
  });
  for (const ChainName& name : all.missing) {
    if (whole || part.chains.contains(name)) observed.missing.insert(name);
  }
  for (const ChainName& name : whole ? all.differing : part.chains) {
    if (observed.missing.contains(name)) continue;
    if (is_empty(name)) {
      observed.chains[name];
      continue;
    }
    if (auto shown = show(id, name, observed); !shown) return shown;
  }
  return {};
}

/// Reads a chain into `observed` and updates the cache.
Status Nft::show(TableId id, const ChainName& name, chains::ObservedTable& observed) {
  auto content = read_if_exists(cache_->netlink(), id, name);
  if (!content) return content.error();
  cache_->chains(id).learn(name, *content);
  if (*content) observed.chains[name] = std::move(**content);
  return {};
}

}  // namespace

Result<NftBackend> make_nft_backend(NftOptions options) {
  auto cache = std::make_shared<ChainCache>(options);
  if (auto opened = cache->open(); !opened) return opened.error();
  NftBackend result;
  result.watch = netlink::make_watch(cache);
  result.backend = std::make_unique<Nft>(std::move(cache));
  return result;
}

}  // namespace nmanager::iptables_nft
