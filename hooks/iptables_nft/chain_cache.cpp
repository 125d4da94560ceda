#include "hooks/iptables_nft/chain_cache.h"

#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "hooks/netlink/message.h"

namespace nmanager::iptables_nft {

namespace {

/// Without events, up to this many chains are all read again after every change by another process;
/// a larger number is swept.
constexpr std::size_t kReadAlways = 16;

std::optional<TableId> table_of(const nlmsghdr& message, std::string_view table) {
  if (message.nlmsg_len < NLMSG_HDRLEN + sizeof(nfgenmsg)) return std::nullopt;
  const auto* const generic = static_cast<const nfgenmsg*>(mnl_nlmsg_get_payload(&message));
  for (const TableId id : kTables) {
    if (generic->nfgen_family == netlink::nf_family(id.family) && table == to_string(id.table))
      return id;
  }
  return std::nullopt;
}

/// The attribute that names the chain of a message; 0 if the message has no chain.
int chain_attribute(const nlmsghdr& message) {
  switch (NFNL_MSG_TYPE(message.nlmsg_type)) {
    case NFT_MSG_NEWRULE:
    case NFT_MSG_DELRULE:
      return NFTA_RULE_CHAIN;
    case NFT_MSG_NEWCHAIN:
    case NFT_MSG_DELCHAIN:
      return NFTA_CHAIN_NAME;
    default:
      return 0;
  }
}

}  // namespace

ChainCache::ChainCache(NftOptions options)
    : Session(options.poll_only, netlink::own_chain_filter), options_(options) {
  for (const TableId id : kTables) chains_.emplace(id, id);
}

void ChainCache::touched(const nlmsghdr& message) {
  const int attribute = chain_attribute(message);
  if (attribute == 0) return;
  const netlink::Attributes attributes(message);
  const std::string_view chain = attributes.text(attribute);
  // NFTA_RULE_TABLE and NFTA_CHAIN_TABLE have the same value.
  const auto table = table_of(message, attributes.text(NFTA_RULE_TABLE));
  if (!table || !is_own_chain(chain)) return;
  OwnChains& known = chains(*table);
  // One of our chains may have been renamed: then the old name is gone and the rules that jump to
  // it have changed, without an event.
  if (NFNL_MSG_TYPE(message.nlmsg_type) == NFT_MSG_NEWCHAIN && !known.knows(chain)) known.forget();
  known.doubt(chain);
}

void ChainCache::doubt_since_proven(TableId id, netlink::Generation generation) {
  if (events() != nullptr) return;
  const auto before = proven_.find(id);
  if (before != proven_.end() && own().all_own(before->second, generation)) return;
  if (chains(id).size() <= kReadAlways) chains(id).doubt_all();
  static_cast<void>(chains(id).list_again_in_time(std::chrono::steady_clock::now()));
}

void ChainCache::forget() {
  for (auto& entry : chains_) entry.second.forget();
}

void ChainCache::sweep_all() {
  for (auto& entry : chains_) entry.second.sweep_all(events() == nullptr);
}

bool ChainCache::sweep(std::size_t count) {
  bool found = false;
  for (auto& entry : chains_) found = entry.second.sweep(netlink(), count) || found;
  return found;
}

}  // namespace nmanager::iptables_nft
