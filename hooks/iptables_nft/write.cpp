#include "hooks/iptables_nft/write.h"

#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter_ipv4.h>
#include <linux/netlink.h>

#include <string>

#include "hooks/iptables_nft/codec.h"

namespace nmanager::iptables_nft {

namespace {

/// Priorities of iptables-nft's chains (nft.c, xtables_ipv4): DNAT at -100, source NAT (INPUT) at
/// 100.
int hook_priority(Table table, Hook hook) {
  if (table == Table::kFilter) return NF_IP_PRI_FILTER;
  return hook == Hook::kInput ? NF_IP_PRI_NAT_SRC : NF_IP_PRI_NAT_DST;
}

}  // namespace

ChainWriter::ChainWriter(netlink::Batch& batch, TableId id)
    : TableWriter(batch, netlink::nf_family(id.family), to_string(id.table)), id_(id) {}

void ChainWriter::create_table() {
  netlink::Message message(NFT_MSG_NEWTABLE, family_, NLM_F_CREATE);
  message.text(NFTA_TABLE_NAME, table_);
  batch_.add(message);
}

void ChainWriter::create_base_chain(Hook hook) {
  create_chain(to_string(hook), BaseChain{hook, id_.table, hook_priority(id_.table, hook)});
}

void ChainWriter::insert_rule(std::string_view chain, const Rule& rule,
                              std::optional<RuleRef> before) {
  TableWriter::insert_rule(chain, *encode_rule(id_.family, rule), before);
}

void ChainWriter::edit_hook(const chains::HookEdit& edit) {
  const std::string_view chain = to_string(edit.hook);
  for (const RuleRef rule : edit.remove) delete_rule(chain, rule);
  if (!edit.insert) return;
  Rule jump;
  jump.target = Jump{edit.jump_to};
  insert_rule(chain, jump, edit.before);
}

void ChainWriter::edit_chain(const chains::ChainEdit& edit) {
  const auto before = places_of(edit.steps);
  for (std::size_t i = 0; i < edit.steps.size(); ++i) {
    if (const auto* insert = std::get_if<chains::Insert>(&edit.steps[i])) {
      insert_rule(edit.chain.str(), insert->rule, before[i]);
    } else if (const auto* remove = std::get_if<Remove>(&edit.steps[i])) {
      delete_rule(edit.chain.str(), remove->ref);
    }
  }
}

}  // namespace nmanager::iptables_nft
