#include "hooks/iptables_nft/observe.h"

#include <linux/netfilter/nf_tables.h>

#include "hooks/iptables_nft/codec.h"
#include "hooks/netlink/message.h"

namespace nmanager {

namespace {

HookRule classify(TableId id, const ChainName& own, const nlmsghdr& message) {
  HookRule result;
  result.ref = Attributes(message).be64(NFTA_RULE_HANDLE);
  const std::string target = jump_target(message);
  if (target == own.str()) {
    Rule plain;
    plain.target = Jump{own};
    const ObservedRule seen = decode_rule(id.family, message);
    result.kind = seen.rule == plain ? HookRule::Kind::kOwnJump : HookRule::Kind::kOwnJumpAltered;
  } else if (is_kube_chain(target)) {
    result.kind = HookRule::Kind::kKubeJump;
  }
  return result;
}

/// Does the object exist? The answer itself is of no interest.
Result<bool> exists(Netlink& netlink, Message& request) {
  const Status status = netlink.ask(request, [](const nlmsghdr&) {});
  if (status) return true;
  if (status.error().kind == ErrorKind::kAbsent) return false;
  return status.error();
}

}  // namespace

Status read_rules(Netlink& netlink, TableId id, std::string_view chain,
                  const Netlink::Visitor& visit) {
  Message request(NFT_MSG_GETRULE, nf_family(id.family), 0);
  request.text(NFTA_RULE_TABLE, to_string(id.table)).text(NFTA_RULE_CHAIN, chain);
  return netlink.dump(request, [&](const nlmsghdr& message) {
    // A kernel that does not know the filter would show every rule.
    if (Attributes(message).text(NFTA_RULE_CHAIN) == chain) visit(message);
  });
}

Result<ObservedChain> read_own_chain(Netlink& netlink, TableId id, const ChainName& chain) {
  ObservedChain result;
  const Status status = read_rules(netlink, id, chain.str(), [&](const nlmsghdr& message) {
    result.push_back(decode_rule(id.family, message));
  });
  if (!status) return status.error();
  return result;
}

Result<std::vector<HookRule>> read_hook(Netlink& netlink, TableId id, Hook hook) {
  const ChainName own = *hook_chain(id.table, hook);
  std::vector<HookRule> result;
  const Status status = read_rules(netlink, id, to_string(hook), [&](const nlmsghdr& message) {
    result.push_back(classify(id, own, message));
  });
  if (!status) return status.error();
  return result;
}

Result<bool> table_exists(Netlink& netlink, Family family, std::string_view table) {
  Message request(NFT_MSG_GETTABLE, nf_family(family), 0);
  request.text(NFTA_TABLE_NAME, table);
  return exists(netlink, request);
}

Result<bool> chain_exists(Netlink& netlink, Family family, std::string_view table,
                          std::string_view chain) {
  Message request(NFT_MSG_GETCHAIN, nf_family(family), 0);
  request.text(NFTA_CHAIN_TABLE, table).text(NFTA_CHAIN_NAME, chain);
  return exists(netlink, request);
}

Result<std::vector<ChainName>> list_own_chains(Netlink& netlink, TableId id) {
  Message request(NFT_MSG_GETCHAIN, nf_family(id.family), 0);
  request.text(NFTA_CHAIN_TABLE, to_string(id.table));
  std::vector<ChainName> result;
  const Status status = netlink.dump(request, [&](const nlmsghdr& message) {
    const Attributes attributes(message);
    const std::string_view name = attributes.text(NFTA_CHAIN_NAME);
    if (attributes.text(NFTA_CHAIN_TABLE) != to_string(id.table) || !is_own_chain(name)) return;
    // A longer name is none of ours: this program never writes one.
    if (name.size() <= ChainName::kMaxLength) result.emplace_back(name);
  });
  if (!status) return status.error();
  return result;
}

}  // namespace nmanager
