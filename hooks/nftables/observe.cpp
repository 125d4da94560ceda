#include "hooks/nftables/observe.h"

#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include <algorithm>
#include <cstdint>
#include <limits>

#include "hooks/values/hook_number.h"

namespace nmanager::nftables {

namespace {

/// A base chain that is not one of ours.
constexpr BaseChain kOtherBase{Hook::kInput, Table::kFilter, std::numeric_limits<int>::min()};

std::optional<BaseChain> read_base(const netlink::Attributes& chain) {
  const nlattr* const nest = chain.find(NFTA_CHAIN_HOOK);
  if (nest == nullptr) return std::nullopt;
  const netlink::Attributes hook(*nest);
  const std::string_view type = chain.text(NFTA_CHAIN_TYPE);
  for (const Table table : {Table::kFilter, Table::kNat}) {
    for (const Hook known : kHooks) {
      if (hook.be32(NFTA_HOOK_HOOKNUM) != hook_number(known) || type != to_string(table)) continue;
      return BaseChain{known, table, static_cast<int>(hook.be32(NFTA_HOOK_PRIORITY))};
    }
  }
  return kOtherBase;
}

Status read_table(netlink::Netlink& netlink, Structure& structure) {
  netlink::Message request(NFT_MSG_GETTABLE, NFPROTO_INET, 0);
  request.text(NFTA_TABLE_NAME, kTableName);
  const Status status = netlink.ask(request, [&](const nlmsghdr& message) {
    const netlink::Attributes attributes(message);
    structure.exists = true;
    structure.dormant = (attributes.be32(NFTA_TABLE_FLAGS) & NFT_TABLE_F_DORMANT) != 0;
    structure.comment = comment_of(attributes.bytes(NFTA_TABLE_USERDATA));
  });
  if (!status && status.error().kind == ErrorKind::kAbsent) return {};
  return status;
}

Status read_chains(netlink::Netlink& netlink, Structure& structure) {
  netlink::Message request(NFT_MSG_GETCHAIN, NFPROTO_INET, 0);
  request.text(NFTA_CHAIN_TABLE, kTableName);
  return netlink.dump(request, [&](const nlmsghdr& message) {
    const netlink::Attributes attributes(message);
    if (attributes.text(NFTA_CHAIN_TABLE) != kTableName) return;
    if ((attributes.be32(NFTA_CHAIN_FLAGS) & NFT_CHAIN_BINDING) != 0) return;  // part of a rule
    DumpedChain& chain = structure.chains[std::string(attributes.text(NFTA_CHAIN_NAME))];
    chain.base = read_base(attributes);
    chain.drops = chain.base && attributes.be32(NFTA_CHAIN_POLICY) == NF_DROP;
  });
}

Status read_sets(netlink::Netlink& netlink, Structure& structure) {
  netlink::Message request(NFT_MSG_GETSET, NFPROTO_INET, 0);
  request.text(NFTA_SET_TABLE, kTableName);
  return netlink.dump(request, [&](const nlmsghdr& message) {
    const netlink::Attributes attributes(message);
    if (attributes.text(NFTA_SET_TABLE) != kTableName) return;
    const std::uint32_t flags = attributes.be32(NFTA_SET_FLAGS);
    if ((flags & NFT_SET_ANONYMOUS) != 0) return;  // part of a rule
    const std::string name(attributes.text(NFTA_SET_NAME));
    const auto id = set_of(name);
    const bool as_made = id && read_shape(attributes) == shape_of(*id);
    structure.sets[name] = {as_made, (flags & NFT_SET_MAP) != 0};
  });
}

Status read_objects(netlink::Netlink& netlink, Structure& structure) {
  netlink::Message request(NFT_MSG_GETOBJ, NFPROTO_INET, 0);
  request.text(NFTA_OBJ_TABLE, kTableName);
  return netlink.dump(request, [&](const nlmsghdr& message) {
    const netlink::Attributes attributes(message);
    if (attributes.text(NFTA_OBJ_TABLE) != kTableName) return;
    structure.others.push_back(
        {attributes.be32(NFTA_OBJ_TYPE), std::string(attributes.text(NFTA_OBJ_NAME))});
  });
}

Status read_flowtables(netlink::Netlink& netlink, Structure& structure) {
  netlink::Message request(NFT_MSG_GETFLOWTABLE, NFPROTO_INET, 0);
  request.text(NFTA_FLOWTABLE_TABLE, kTableName);
  return netlink.dump(request, [&](const nlmsghdr& message) {
    const netlink::Attributes attributes(message);
    if (attributes.text(NFTA_FLOWTABLE_TABLE) != kTableName) return;
    structure.others.push_back(
        {OtherObject::kFlowtable, std::string(attributes.text(NFTA_FLOWTABLE_NAME))});
  });
}

}  // namespace

Result<Structure> read_structure(netlink::Netlink& netlink) {
  Structure structure;
  if (auto status = read_table(netlink, structure); !status) return status.error();
  if (!structure.exists) return structure;
  if (auto status = read_chains(netlink, structure); !status) return status.error();
  for (auto& [name, chain] : structure.chains) {
    auto rules = read_chain(netlink, name);
    if (!rules) return rules.error();
    chain.rules = std::move(*rules);
  }
  for (const auto read : {read_sets, read_objects, read_flowtables}) {
    if (auto status = read(netlink, structure); !status) return status.error();
  }
  return structure;
}

Result<std::vector<DumpedRule>> read_chain(netlink::Netlink& netlink, const std::string& chain) {
  netlink::Message request(NFT_MSG_GETRULE, NFPROTO_INET, 0);
  request.text(NFTA_RULE_TABLE, kTableName).text(NFTA_RULE_CHAIN, chain);
  std::vector<DumpedRule> rules;
  const Status status = netlink.dump(request, [&](const nlmsghdr& message) {
    const netlink::Attributes attributes(message);
    if (attributes.text(NFTA_RULE_TABLE) != kTableName) return;
    if (attributes.text(NFTA_RULE_CHAIN) == chain) rules.push_back(read_rule(message));
  });
  if (!status && status.error().kind != ErrorKind::kAbsent) return status.error();
  return rules;
}

Result<bool> read_elements(netlink::Netlink& netlink, const SetId& id, const SeeElement& see) {
  netlink::Message request(NFT_MSG_GETSETELEM, NFPROTO_INET, 0);
  request.text(NFTA_SET_ELEM_LIST_TABLE, kTableName).text(NFTA_SET_ELEM_LIST_SET, name_of(id));
  bool strange = false;
  const Status status = netlink.dump(request, [&](const nlmsghdr& message) {
    const nlattr* const list = netlink::Attributes(message).find(NFTA_SET_ELEM_LIST_ELEMENTS);
    if (list == nullptr) return;
    netlink::Attributes(*list).for_each([&](const nlattr& one) {
      if (auto element = read_element(id, one)) {
        see(std::move(*element));
      } else {
        strange = true;
      }
    });
  });
  if (!status) return status.error();
  return strange;
}

}  // namespace nmanager::nftables
