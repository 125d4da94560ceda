#include "hooks/iptables_nft/observe.h"
#include "hooks/netlink/objects.h"

#include <linux/netfilter/nf_tables.h>

#include "hooks/iptables_nft/codec.h"
#include "hooks/netlink/message.h"

namespace nmanager::iptables_nft {

Result<chains::ObservedChain> read_own_chain(netlink::Netlink& netlink, TableId id,
                                             const ChainName& chain) {
  chains::ObservedChain result;
  const Status status = netlink::read_rules(netlink, id, chain.str(), [&](const nlmsghdr& message) {
    result.push_back(decode_rule(id.family, message));
  });
  if (!status) return status.error();
  return result;
}

Result<std::vector<chains::HookRule>> read_hook(netlink::Netlink& netlink, TableId id, Hook hook) {
  const ChainName own = *hook_chain(id.table, hook);
  std::vector<chains::HookRule> result;
  const Status status =
      netlink::read_rules(netlink, id, to_string(hook), [&](const nlmsghdr& message) {
        const auto decode = [&] { return decode_rule(id.family, message).rule; };
        result.push_back({chains::kind_of_hook_rule(own, netlink::jump_target(message), decode),
                          netlink::Attributes(message).be64(NFTA_RULE_HANDLE)});
      });
  if (!status) return status.error();
  return result;
}

Result<std::vector<ChainName>> list_own_chains(netlink::Netlink& netlink, TableId id) {
  netlink::Message request(NFT_MSG_GETCHAIN, netlink::nf_family(id.family), 0);
  request.text(NFTA_CHAIN_TABLE, to_string(id.table));
  std::vector<ChainName> result;
  const Status status = netlink.dump(request, [&](const nlmsghdr& message) {
    const netlink::Attributes attributes(message);
    const std::string_view name = attributes.text(NFTA_CHAIN_NAME);
    if (attributes.text(NFTA_CHAIN_TABLE) != to_string(id.table)) return;
    if (is_own_chain(name)) result.emplace_back(name);
  });
  if (!status) return status.error();
  return result;
}

}  // namespace nmanager::iptables_nft
