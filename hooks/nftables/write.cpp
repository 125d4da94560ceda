#include "hooks/nftables/write.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netlink.h>

#include "hooks/nftables/codec.h"
#include "hooks/values/hook_number.h"

namespace nmanager::nftables {

namespace {

/// So many elements stand in one message, which has room for 4 KiB; the longest take 250 bytes.
constexpr std::size_t kElementsAtOnce = 12;

class Writer {
 public:
  explicit Writer(netlink::Batch& batch) : batch_(batch) {}

  void create_table() {
    netlink::Message message(NFT_MSG_NEWTABLE, NFPROTO_INET, NLM_F_CREATE | NLM_F_EXCL);
    message.text(NFTA_TABLE_NAME, kTableName)
        .be32(NFTA_TABLE_FLAGS, 0)
        .bytes(NFTA_TABLE_USERDATA, comment_data(kTableComment));
    batch_.add(message);
  }
  void wake_table() {
    netlink::Message message(NFT_MSG_NEWTABLE, NFPROTO_INET, NLM_F_CREATE);
    message.text(NFTA_TABLE_NAME, kTableName).be32(NFTA_TABLE_FLAGS, 0);
    batch_.add(message);
  }
  void delete_table() { remove(NFT_MSG_DELTABLE, NFTA_TABLE_NAME, kTableName, 0, {}); }

  void create_chain(const ChainPlan& chain) {
    netlink::Message message(NFT_MSG_NEWCHAIN, NFPROTO_INET, NLM_F_CREATE | NLM_F_EXCL);
    message.text(NFTA_CHAIN_TABLE, kTableName).text(NFTA_CHAIN_NAME, chain.chain);
    if (chain.base) {
      nlattr* const hook = message.begin(NFTA_CHAIN_HOOK);
      message.be32(NFTA_HOOK_HOOKNUM, hook_number(chain.base->hook))
          .be32(NFTA_HOOK_PRIORITY, static_cast<std::uint32_t>(chain.base->priority));
      message.end(hook);
      message.be32(NFTA_CHAIN_POLICY, NF_ACCEPT).text(NFTA_CHAIN_TYPE, to_string(chain.base->type));
    }
    batch_.add(message);
  }
  void flush_chain(const std::string& chain) {
    remove(NFT_MSG_DELRULE, NFTA_RULE_TABLE, kTableName, NFTA_RULE_CHAIN, chain);
  }
  void delete_chain(const std::string& chain) {
    remove(NFT_MSG_DELCHAIN, NFTA_CHAIN_TABLE, kTableName, NFTA_CHAIN_NAME, chain);
  }

  void create_set(const SetId& id) {
    netlink::Message message(NFT_MSG_NEWSET, NFPROTO_INET, NLM_F_CREATE | NLM_F_EXCL);
    message.text(NFTA_SET_TABLE, kTableName).text(NFTA_SET_NAME, name_of(id));
    put_shape(message, id, ++sets_);
    batch_.add(message);
  }
  void delete_set(const std::string& name) {
    remove(NFT_MSG_DELSET, NFTA_SET_TABLE, kTableName, NFTA_SET_NAME, name);
  }
  void flush_set(const std::string& name) {
    remove(NFT_MSG_DELSETELEM, NFTA_SET_ELEM_LIST_TABLE, kTableName, NFTA_SET_ELEM_LIST_SET, name);
  }
  /// `type`: NFT_MSG_NEWSETELEM or NFT_MSG_DELSETELEM.
  void elements(int type, const SetId& id, const Elements& elements) {
    for (std::size_t first = 0; first < elements.size(); first += kElementsAtOnce) {
      netlink::Message message(type, NFPROTO_INET,
                               type == NFT_MSG_NEWSETELEM ? NLM_F_CREATE | NLM_F_EXCL : 0);
      message.text(NFTA_SET_ELEM_LIST_TABLE, kTableName).text(NFTA_SET_ELEM_LIST_SET, name_of(id));
      nlattr* const list = message.begin(NFTA_SET_ELEM_LIST_ELEMENTS);
      for (std::size_t i = first; i < elements.size() && i < first + kElementsAtOnce; ++i) {
        put_element(message, id, elements[i]);
      }
      message.end(list);
      batch_.add(message);
    }
  }

  void insert_rule(const std::string& chain, const Rule& rule, std::optional<RuleRef> before) {
    const netlink::NftnlPtr<nftnl_rule> encoded = encode(rule);
    nftnl_rule_set_str(encoded.get(), NFTNL_RULE_TABLE, std::string(kTableName).c_str());
    nftnl_rule_set_str(encoded.get(), NFTNL_RULE_CHAIN, chain.c_str());
    if (before) nftnl_rule_set_u64(encoded.get(), NFTNL_RULE_POSITION, *before);
    netlink::Message message(NFT_MSG_NEWRULE, NFPROTO_INET,
                             NLM_F_CREATE | (before ? 0 : NLM_F_APPEND));
    nftnl_rule_nlmsg_build_payload(message.header(), encoded.get());
    batch_.add(message);
  }
  void delete_rule(const std::string& chain, RuleRef rule) {
    netlink::Message message(NFT_MSG_DELRULE, NFPROTO_INET, 0);
    message.text(NFTA_RULE_TABLE, kTableName)
        .text(NFTA_RULE_CHAIN, chain)
        .be64(NFTA_RULE_HANDLE, rule);
    batch_.add(message);
  }

 private:
  void remove(int type, int table_attribute, std::string_view table, int name_attribute,
              std::string_view name) {
    netlink::Message message(type, NFPROTO_INET, 0);
    message.text(table_attribute, table);
    if (!name.empty()) message.text(name_attribute, name);
    batch_.add(message);
  }

  netlink::Batch& batch_;
  std::uint32_t sets_ = 0;
};

bool goes(Make make) {
  return make == Make::kDelete || make == Make::kReplace;
}
bool comes(Make make) {
  return make == Make::kCreate || make == Make::kReplace;
}

void write_removals(Writer& writer, const Plan& plan) {
  for (const RuleEdits& edits : plan.rules) {
    for (const auto& step : edits.steps) {
      if (const auto* rule = std::get_if<Remove>(&step)) writer.delete_rule(edits.chain, rule->ref);
    }
  }
  // All are emptied first: they may jump to one another.
  for (const ChainPlan& chain : plan.chains) {
    if (goes(chain.make)) writer.flush_chain(chain.chain);
  }
  for (const ChainPlan& chain : plan.chains) {
    if (goes(chain.make)) writer.delete_chain(chain.chain);
  }
  for (const SetPlan& set : plan.sets) {
    if (goes(set.make)) writer.delete_set(set.name);
    if (set.flush) writer.flush_set(set.name);
  }
}

void write_sets(Writer& writer, const Plan& plan) {
  for (const SetPlan& set : plan.sets) {
    if (!set.id) continue;
    if (comes(set.make)) writer.create_set(*set.id);
    writer.elements(NFT_MSG_DELSETELEM, *set.id, set.remove);
    writer.elements(NFT_MSG_NEWSETELEM, *set.id, set.add);
  }
}

void write_rules(Writer& writer, const RuleEdits& edits) {
  for (std::size_t i = 0; i < edits.steps.size(); ++i) {
    const auto* insert = std::get_if<InsertOf<Rule>>(&edits.steps[i]);
    if (insert == nullptr) continue;
    std::optional<RuleRef> before;
    for (std::size_t next = i; next < edits.steps.size() && !before; ++next) {
      if (const auto* keep = std::get_if<Keep>(&edits.steps[next])) before = keep->ref;
    }
    writer.insert_rule(edits.chain, insert->rule, before);
  }
}

}  // namespace

void write(netlink::Batch& batch, const Plan& plan) {
  Writer writer(batch);
  if (plan.delete_table || plan.replace_table) writer.delete_table();
  if (plan.delete_table) return;
  if (plan.create_table) writer.create_table();
  if (plan.wake_table) writer.wake_table();
  write_removals(writer, plan);
  write_sets(writer, plan);
  for (const ChainPlan& chain : plan.chains) {
    if (comes(chain.make)) writer.create_chain(chain);
  }
  for (const RuleEdits& edits : plan.rules) write_rules(writer, edits);
}

}  // namespace nmanager::nftables
