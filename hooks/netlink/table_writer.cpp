#include "hooks/netlink/table_writer.h"

#include <cstdint>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netlink.h>

#include "hooks/values/hook_number.h"

namespace nmanager::netlink {

void TableWriter::create_chain(std::string_view chain, const std::optional<BaseChain>& base) {
  Message message(NFT_MSG_NEWCHAIN, family_, NLM_F_CREATE | NLM_F_EXCL);
  message.text(NFTA_CHAIN_TABLE, table_).text(NFTA_CHAIN_NAME, chain);
  if (base) {
    nlattr* const hook = message.begin(NFTA_CHAIN_HOOK);
    message.be32(NFTA_HOOK_HOOKNUM, hook_number(base->hook))
        .be32(NFTA_HOOK_PRIORITY, static_cast<std::uint32_t>(base->priority));
    message.end(hook);
    message.be32(NFTA_CHAIN_POLICY, NF_ACCEPT).text(NFTA_CHAIN_TYPE, to_string(base->type));
  }
  batch_.add(message);
}

void TableWriter::flush_chain(std::string_view chain) {
  by_name(NFT_MSG_DELRULE, NFTA_RULE_TABLE, NFTA_RULE_CHAIN, chain);
}

void TableWriter::delete_chain(std::string_view chain) {
  by_name(NFT_MSG_DELCHAIN, NFTA_CHAIN_TABLE, NFTA_CHAIN_NAME, chain);
}

void TableWriter::insert_rule(std::string_view chain, nftnl_rule& rule,
                              std::optional<RuleRef> before) {
  nftnl_rule_set_str(&rule, NFTNL_RULE_TABLE, table_.c_str());
  nftnl_rule_set_str(&rule, NFTNL_RULE_CHAIN, std::string(chain).c_str());
  if (before) nftnl_rule_set_u64(&rule, NFTNL_RULE_POSITION, *before);
  Message message(NFT_MSG_NEWRULE, family_, NLM_F_CREATE | (before ? 0 : NLM_F_APPEND));
  nftnl_rule_nlmsg_build_payload(message.header(), &rule);
  batch_.add(message);
}

void TableWriter::delete_rule(std::string_view chain, RuleRef rule) {
  Message message(NFT_MSG_DELRULE, family_, 0);
  message.text(NFTA_RULE_TABLE, table_).text(NFTA_RULE_CHAIN, chain).be64(NFTA_RULE_HANDLE, rule);
  batch_.add(message);
}

void TableWriter::flush_set(std::string_view set) {
  by_name(NFT_MSG_DELSETELEM, NFTA_SET_ELEM_LIST_TABLE, NFTA_SET_ELEM_LIST_SET, set);
}

void TableWriter::delete_set(std::string_view set) {
  by_name(NFT_MSG_DELSET, NFTA_SET_TABLE, NFTA_SET_NAME, set);
}

void TableWriter::delete_object(std::string_view object, std::uint32_t type) {
  Message message(NFT_MSG_DELOBJ, family_, 0);
  message.text(NFTA_OBJ_TABLE, table_).text(NFTA_OBJ_NAME, object).be32(NFTA_OBJ_TYPE, type);
  batch_.add(message);
}

void TableWriter::delete_flowtable(std::string_view flowtable) {
  by_name(NFT_MSG_DELFLOWTABLE, NFTA_FLOWTABLE_TABLE, NFTA_FLOWTABLE_NAME, flowtable);
}

void TableWriter::by_name(int type, int table_attribute, int name_attribute,
                          std::string_view name) {
  Message message(type, family_, 0);
  message.text(table_attribute, table_).text(name_attribute, name);
  batch_.add(message);
}

}  // namespace nmanager::netlink
