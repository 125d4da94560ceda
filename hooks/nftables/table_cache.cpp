#include "hooks/nftables/table_cache.h"

#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "hooks/nftables/match_elements.h"

namespace nmanager::nftables {

namespace {

constexpr int kRest = 100;  // times the duration of the read

}  // namespace

TableCache::TableCache(NftablesOptions options)
    : Session(options.poll_only, [](std::uint32_t own_port, std::size_t messages) {
        return netlink::table_filter(kTableName, own_port, messages);
      }) {}

void TableCache::touched(const nlmsghdr& message) {
  if (message.nlmsg_len < NLMSG_HDRLEN + sizeof(nfgenmsg)) return;
  const auto* const generic = static_cast<const nfgenmsg*>(mnl_nlmsg_get_payload(&message));
  const netlink::Attributes attributes(message);
  // The attribute of the table has one number in all messages.
  if (generic->nfgen_family != NFPROTO_INET || attributes.text(NFTA_TABLE_NAME) != kTableName) {
    return;
  }
  switch (NFNL_MSG_TYPE(message.nlmsg_type)) {
    case NFT_MSG_NEWSETELEM:
    case NFT_MSG_DELSETELEM:
      if (const auto id = set_of(attributes.text(NFTA_SET_ELEM_LIST_SET))) doubt(*id);
      break;
    case NFT_MSG_NEWSET:
    case NFT_MSG_DELSET:
      if (const auto id = set_of(attributes.text(NFTA_SET_NAME))) doubt(*id);
      doubt_structure();
      break;
    case NFT_MSG_NEWTABLE:
    case NFT_MSG_DELTABLE:
      forget();
      break;
    default:
      doubt_structure();
      break;
  }
}

void TableCache::begin_read(netlink::Generation generation) {
  just_read_.clear();
  if (events() != nullptr) return;
  if (!proven_ || !own().all_own(*proven_, generation)) doubt_structure();
}

bool TableCache::sweep(std::size_t /*count*/) {
  if (!sweep_due_ || Clock::now() - swept_at_ < kRest * sweep_cost_) return false;
  sweep_due_ = false;
  sweep_cost_ = {};
  forget();
  return true;
}

Status TableCache::refresh(bool counters) {
  if (structure_doubtful_) {
    auto structure = read_structure(netlink());
    if (!structure) return structure.error();
    structure_ = std::move(*structure);
    structure_doubtful_ = false;
    ++structure_reads_;
    return {};
  }
  if (!counters) return {};
  for (auto& [name, chain] : structure_.chains) {
    if (std::ranges::none_of(chain.rules, &DumpedRule::counts)) continue;
    auto rules = read_chain(netlink(), name);
    if (!rules) return rules.error();
    chain.rules = std::move(*rules);
  }
  return {};
}

Result<KnownElements> TableCache::elements(const SetId& id,
                                           const std::shared_ptr<const TableSpec>& wanted) {
  const auto known = known_.find(id);
  if (known != known_.end()) return known->second;
  const auto start = Clock::now();
  auto fresh = read(id, wanted);
  if (!fresh) return fresh;
  swept_at_ = Clock::now();
  sweep_cost_ += swept_at_ - start;
  known_[id] = *fresh;
  just_read_.push_back(id);
  return fresh;
}

Result<KnownElements> TableCache::read(const SetId& id,
                                       const std::shared_ptr<const TableSpec>& wanted) {
  KnownElements fresh;
  std::optional<MatchElements> match;  // nothing: any may differ
  const ExternalCluster* external = wanted ? only_external_of(*wanted) : nullptr;
  if (external != nullptr && external->settings.match == id.by) {
    match.emplace(id, wanted);
    const auto strange = read_elements(netlink(), id, [&](const Element& element) {
      ++elements_read_;
      match->see(element);
    });
    if (!strange) return strange.error();
    if (*strange) {
      match.reset();
    } else {
      fresh.as_in = match->matching();
      if (fresh.as_in == wanted) return fresh;
    }
  }
  Elements besides;
  const auto strange = read_elements(netlink(), id, [&](Element&& element) {
    ++elements_read_;
    if (match && !match->may_differ(element.external)) return;
    besides.push_back(std::move(element));
  });
  if (!strange) return strange.error();
  std::ranges::sort(besides);
  fresh.strange = *strange;
  fresh.besides = std::make_shared<const Elements>(std::move(besides));
  return fresh;
}

/// What earlier reads have found is as of their generation: events tell what changed since then.
void TableCache::overtaken() {
  if (events() == nullptr) return forget();
  doubt_structure();
  for (const SetId& id : just_read_) doubt(id);
}

void TableCache::forget() {
  doubt_structure();
  known_.clear();
}

}  // namespace nmanager::nftables
