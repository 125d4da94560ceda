#include "hooks/iptables_nft/session.h"

#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "hooks/netlink/message.h"

namespace nmanager::iptables_nft {

namespace {

/// Without events so many chains are read again after every change by others; more are swept.
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

/// The attribute that names the chain a message is about; 0: it is about none.
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

Session::Session(NftOptions options) : options_(options) {
  for (const TableId id : kTables) chains_.emplace(id, id);
}

Status Session::open() {
  const auto generation = netlink_.generation();
  if (!generation) return generation.error();
  if (options_.poll_only) return {};
  netlink::Events::Handlers handlers;
  handlers.touched = [this](const nlmsghdr& message) { touched(message); };
  handlers.filter = netlink::own_chain_filter;
  handlers.lost = [this] { forget(); };
  events_.emplace(netlink_, own_, std::move(handlers));
  return events_->open();
}

void Session::touched(const nlmsghdr& message) {
  const int attribute = chain_attribute(message);
  if (attribute == 0) return;
  const netlink::Attributes attributes(message);
  const std::string_view chain = attributes.text(attribute);
  // NFTA_RULE_TABLE and NFTA_CHAIN_TABLE are the same number.
  const auto table = table_of(message, attributes.text(NFTA_RULE_TABLE));
  if (table && is_own_chain(chain)) chains(*table).doubt(chain);
}

void Session::catch_up(TableId id, netlink::Generation generation) {
  if (events_) {
    if (!events_->caught_up(generation)) forget();
    return;
  }
  const auto before = proven_.find(id);
  if (before != proven_.end() && own_.all_own(before->second, generation)) return;
  if (chains(id).size() <= kReadAlways) chains(id).doubt_all();
  static_cast<void>(chains(id).list_again_in_time(std::chrono::steady_clock::now()));
}

void Session::add_own(TableId id, netlink::Generation generation) {
  own_.add(generation);
  proven(id, generation);
  // Takes our own NEWGEN off the queue, so that it wakes nobody.
  if (events_) events_->receive();
}

void Session::forget() {
  for (auto& entry : chains_) entry.second.forget();
}

void Session::sweep_all() {
  for (auto& entry : chains_) entry.second.sweep_all(!events_);
}

bool Session::sweep(std::size_t count) {
  bool found = false;
  for (auto& entry : chains_) found = entry.second.sweep(netlink_, count) || found;
  return found;
}

}  // namespace nmanager::iptables_nft
