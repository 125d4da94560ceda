#include "hooks/netlink/objects.h"

#include <linux/netfilter.h>

#include <cerrno>

#include "hooks/netlink/message.h"
#include "hooks/values/hook_number.h"

namespace nmanager::netlink {

namespace {

/// Whether the requested object exists; its content is ignored.
Result<bool> exists(Netlink& netlink, Message& request) {
  const auto code = netlink.answer_to(*request.header(), [](const nlmsghdr&) {});
  if (!code) return code.error();
  if (*code == 0 || *code == ENOENT) return *code == 0;
  // Our requests are valid, so EINVAL means that no subsystem handles nf_tables.
  if (*code == EINVAL) return Error{ErrorKind::kUnsupported, "kernel lacks nf_tables"};
  return netlink_error("querying nf_tables", *code);
}

template <class Each>
void for_each_verdict(const nlmsghdr& message, Each each) {
  for_each_expression(message, [&](std::string_view name, const Attributes& data) {
    if (name != "immediate") return;
    const nlattr* const immediate = data.find(NFTA_IMMEDIATE_DATA);
    const nlattr* const verdict =
        immediate == nullptr ? nullptr : Attributes(*immediate).find(NFTA_DATA_VERDICT);
    if (verdict != nullptr) each(Attributes(*verdict));
  });
}

}  // namespace

Status read_rules(Netlink& netlink, TableId id, std::string_view chain,
                  const Netlink::Visitor& visit) {
  Message request(NFT_MSG_GETRULE, nf_family(id.family), 0);
  request.text(NFTA_RULE_TABLE, to_string(id.table)).text(NFTA_RULE_CHAIN, chain);
  return netlink.dump(request, [&](const nlmsghdr& message) {
    // A kernel that does not know the filter returns every rule.
    if (Attributes(message).text(NFTA_RULE_CHAIN) == chain) visit(message);
  });
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

Result<std::string> why_inert(Netlink& netlink, TableId id) {
  const std::string table(to_string(id.table));
  std::string why;
  const auto look = [&](Message& request, const Netlink::Visitor& visit) -> Status {
    const auto code = netlink.answer_to(*request.header(), visit);
    if (!code) return code.error();
    return *code == 0 || *code == ENOENT ? Status() : netlink_error("asking nf_tables", *code);
  };
  Message of_table(NFT_MSG_GETTABLE, nf_family(id.family), 0);
  of_table.text(NFTA_TABLE_NAME, table);
  const Status asked = look(of_table, [&](const nlmsghdr& message) {
    if ((Attributes(message).be32(NFTA_TABLE_FLAGS) & NFT_TABLE_F_DORMANT) != 0) {
      why = "the table is dormant (flags dormant): the kernel obeys none of its rules";
    }
  });
  if (!asked) return asked.error();
  for (const Hook hook : hooks_of(id.table)) {
    Message of_chain(NFT_MSG_GETCHAIN, nf_family(id.family), 0);
    of_chain.text(NFTA_CHAIN_TABLE, table).text(NFTA_CHAIN_NAME, to_string(hook));
    const Status seen = look(of_chain, [&](const nlmsghdr& message) {
      const nlattr* const base = Attributes(message).find(NFTA_CHAIN_HOOK);
      if (base != nullptr && Attributes(*base).be32(NFTA_HOOK_HOOKNUM) == hook_number(hook)) return;
      why = "chain " + std::string(to_string(hook)) +
            " is not attached to the hook of its name: " + "no packet meets its rules";
    });
    if (!seen) return seen.error();
  }
  return why;
}

std::string jump_target(const nlmsghdr& message) {
  std::string target;
  for_each_verdict(message,
                   [&](const Attributes& verdict) { target = verdict.text(NFTA_VERDICT_CHAIN); });
  return target;
}

bool is_drop(const nlmsghdr& message) {
  bool drops = false;
  for_each_verdict(message, [&](const Attributes& verdict) {
    drops = verdict.be32(NFTA_VERDICT_CODE) == NF_DROP && verdict.find(NFTA_VERDICT_CODE);
  });
  return drops;
}

}  // namespace nmanager::netlink
