#include "test/unit/iptables_nft/sandbox.h"

#include <doctest/doctest.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_tables.h>

#include <array>
#include <cstdint>
#include <cstdio>

#include "hooks/chains/rule_text.h"
#include "hooks/iptables_nft/observe.h"
#include "hooks/netlink/objects.h"

namespace nmanager::test {
using namespace nmanager::chains;
using namespace nmanager::iptables_nft;
using namespace nmanager::netlink;

const Iptables& tool() {
  static const Iptables nft("nft");
  return nft;
}

NftBackend backend(NftOptions options) {
  auto made = make_nft_backend(options);
  if (!made) FAIL(made.error().message);
  return std::move(made.value());
}

bool in_place(ChainBackend& backend, TableId id, const DesiredTable& desired) {
  const TablePlan plan = make_plan(id, desired, look(backend, id));
  INFO(to_restore_text(plan));
  return plan.empty();
}

std::vector<std::string> expressions(Netlink& netlink, TableId id, const std::string& chain) {
  std::vector<std::string> result;
  const Status status = read_rules(netlink, id, chain, [&](const nlmsghdr& message) {
    const nlattr* const list = Attributes(message).find(NFTA_RULE_EXPRESSIONS);
    std::string text;
    if (list != nullptr) {
      const auto* const bytes = static_cast<const std::uint8_t*>(mnl_attr_get_payload(list));
      for (std::size_t i = 0; i < mnl_attr_get_payload_len(list); ++i) {
        std::array<char, 3> hex;
        std::snprintf(hex.data(), hex.size(), "%02x", bytes[i]);
        text += hex.data();
      }
    }
    result.push_back(text);
  });
  if (!status) FAIL(status.error().message);
  return result;
}

DesiredTable desired(TableId id) {
  DesiredTable table;
  Rule content;
  if (id.table == Table::kFilter) {
    content.state_invalid = true;
    content.target = Drop{};
  } else {
    content.destination =
        Prefix::host(address(id.family == Family::kIpv4 ? "192.0.2.1" : "2001:db8::1"));
    content.comment = "ns/name";
    content.target = Dnat{address(id.family == Family::kIpv4 ? "10.96.0.1" : "fd00:96::1")};
  }
  const ChainName last("NMANAGER_CONTENT");
  table.chains[last] = {content};
  for (const Hook hook : kHooks) {
    const auto chain = hook_chain(id.table, hook);
    if (!chain) continue;
    table.jumps.push_back(hook);
    table.chains[*chain] = {jump_to(last.str())};
  }
  return table;
}

}  // namespace nmanager::test
