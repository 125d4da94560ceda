#include "hooks/iptables_nft/write.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter_ipv4.h>
#include <linux/netlink.h>

#include <string>

#include "hooks/iptables_nft/codec.h"
#include "hooks/values/hook_number.h"

namespace nmanager::iptables_nft {

namespace {

/// iptables-nft's priorities (nft.c, xtables_ipv4): DNAT at -100, source NAT (INPUT) at 100.
int hook_priority(Table table, Hook hook) {
  if (table == Table::kFilter) return NF_IP_PRI_FILTER;
  return hook == Hook::kInput ? NF_IP_PRI_NAT_SRC : NF_IP_PRI_NAT_DST;
}

}  // namespace

void Writer::create_table() {
  netlink::Message message(NFT_MSG_NEWTABLE, netlink::nf_family(id_.family), NLM_F_CREATE);
  message.text(NFTA_TABLE_NAME, to_string(id_.table));
  batch_.add(message);
}

void Writer::create_base_chain(Hook hook) {
  const netlink::NftnlPtr<nftnl_chain> chain(netlink::made_or_throw(nftnl_chain_alloc()));
  const std::string table(to_string(id_.table));
  nftnl_chain_set_str(chain.get(), NFTNL_CHAIN_TABLE, table.c_str());
  nftnl_chain_set_str(chain.get(), NFTNL_CHAIN_NAME, std::string(to_string(hook)).c_str());
  nftnl_chain_set_u32(chain.get(), NFTNL_CHAIN_HOOKNUM, hook_number(hook));
  nftnl_chain_set_s32(chain.get(), NFTNL_CHAIN_PRIO, hook_priority(id_.table, hook));
  nftnl_chain_set_u32(chain.get(), NFTNL_CHAIN_POLICY, NF_ACCEPT);
  nftnl_chain_set_str(chain.get(), NFTNL_CHAIN_TYPE, table.c_str());
  netlink::Message message(NFT_MSG_NEWCHAIN, netlink::nf_family(id_.family),
                           NLM_F_CREATE | NLM_F_EXCL);
  nftnl_chain_nlmsg_build_payload(message.header(), chain.get());
  batch_.add(message);
}

void Writer::create_chain(const ChainName& chain) {
  netlink::Message message(NFT_MSG_NEWCHAIN, netlink::nf_family(id_.family),
                           NLM_F_CREATE | NLM_F_EXCL);
  message.text(NFTA_CHAIN_TABLE, to_string(id_.table)).text(NFTA_CHAIN_NAME, chain.str());
  batch_.add(message);
}

void Writer::delete_chain(const ChainName& chain) {
  netlink::Message message(NFT_MSG_DELCHAIN, netlink::nf_family(id_.family), 0);
  message.text(NFTA_CHAIN_TABLE, to_string(id_.table)).text(NFTA_CHAIN_NAME, chain.str());
  batch_.add(message);
}

void Writer::flush_chain(const ChainName& chain) {
  netlink::Message message(NFT_MSG_DELRULE, netlink::nf_family(id_.family), 0);
  message.text(NFTA_RULE_TABLE, to_string(id_.table)).text(NFTA_RULE_CHAIN, chain.str());
  batch_.add(message);
}

void Writer::insert_rule(std::string_view chain, const Rule& rule, std::optional<RuleRef> before) {
  const netlink::NftnlPtr<nftnl_rule> encoded = encode_rule(id_.family, rule);
  nftnl_rule_set_str(encoded.get(), NFTNL_RULE_TABLE, std::string(to_string(id_.table)).c_str());
  nftnl_rule_set_str(encoded.get(), NFTNL_RULE_CHAIN, std::string(chain).c_str());
  if (before) nftnl_rule_set_u64(encoded.get(), NFTNL_RULE_POSITION, *before);
  netlink::Message message(NFT_MSG_NEWRULE, netlink::nf_family(id_.family),
                           NLM_F_CREATE | (before ? 0 : NLM_F_APPEND));
  nftnl_rule_nlmsg_build_payload(message.header(), encoded.get());
  batch_.add(message);
}

void Writer::delete_rule(std::string_view chain, RuleRef rule) {
  netlink::Message message(NFT_MSG_DELRULE, netlink::nf_family(id_.family), 0);
  message.text(NFTA_RULE_TABLE, to_string(id_.table))
      .text(NFTA_RULE_CHAIN, chain)
      .be64(NFTA_RULE_HANDLE, rule);
  batch_.add(message);
}

void Writer::edit_hook(const chains::HookEdit& edit) {
  const std::string_view chain = to_string(edit.hook);
  for (const RuleRef rule : edit.remove) delete_rule(chain, rule);
  if (!edit.insert) return;
  Rule jump;
  jump.target = Jump{edit.jump_to};
  insert_rule(chain, jump, edit.before);
}

void Writer::edit_chain(const chains::ChainEdit& edit) {
  // Back to front, to know the kept rule that an insertion stands before; written front to back.
  std::vector<std::optional<RuleRef>> before(edit.steps.size());
  std::optional<RuleRef> kept;
  for (std::size_t i = edit.steps.size(); i-- > 0;) {
    before[i] = kept;
    if (const auto* keep = std::get_if<Keep>(&edit.steps[i])) kept = keep->ref;
  }
  for (std::size_t i = 0; i < edit.steps.size(); ++i) {
    if (const auto* insert = std::get_if<chains::Insert>(&edit.steps[i])) {
      insert_rule(edit.chain.str(), insert->rule, before[i]);
    } else if (const auto* remove = std::get_if<Remove>(&edit.steps[i])) {
      delete_rule(edit.chain.str(), remove->ref);
    }
  }
}

}  // namespace nmanager::iptables_nft
