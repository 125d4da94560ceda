// Queries for nf_tables objects: tables, chains, rules.
#pragma once

#include <linux/netfilter/nf_tables.h>

#include <string>
#include <string_view>

#include "hooks/netlink/socket.h"
#include "hooks/values/table.h"

namespace nmanager::netlink {

/// Calls `visit` for each rule of one chain, in order. A chain or table that does not exist has no
/// rules. kRetry: a commit interrupted the dump, ignore what was visited.
Status read_rules(Netlink& netlink, TableId id, std::string_view chain,
                  const Netlink::Visitor& visit);

[[nodiscard]] Result<bool> table_exists(Netlink& netlink, Family family, std::string_view table);
[[nodiscard]] Result<bool> chain_exists(Netlink& netlink, Family family, std::string_view table,
                                        std::string_view chain);

/// Why the kernel obeys no rule of these hooks' chains in an iptables table: the table is dormant,
/// or a chain is attached to no hook, or to another one. Empty: it does, or they do not exist yet.
[[nodiscard]] Result<std::string> why_inert(Netlink& netlink, TableId id);

/// Where a dumped rule jumps or goes to, whatever it matches; empty: nowhere.
[[nodiscard]] std::string jump_target(const nlmsghdr& message);

/// Its verdict, if it has one, is to drop the packet.
[[nodiscard]] bool is_drop(const nlmsghdr& message);

/// Calls `each` with the name and the data of every expression of a dumped rule.
template <class Each>
void for_each_expression(const nlmsghdr& message, Each each) {
  const nlattr* const list = Attributes(message).find(NFTA_RULE_EXPRESSIONS);
  if (list == nullptr) return;
  Attributes(*list).for_each([&](const nlattr& element) {
    const Attributes expression(element);
    if (const nlattr* const data = expression.find(NFTA_EXPR_DATA)) {
      each(expression.text(NFTA_EXPR_NAME), Attributes(*data));
    }
  });
}

}  // namespace nmanager::netlink
