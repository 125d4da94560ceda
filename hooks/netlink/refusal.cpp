#include "hooks/netlink/refusal.h"

#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <functional>

namespace nmanager::netlink {

namespace {

/// The name of a table that is never committed.
constexpr std::string_view kProbe = "nmanager-probe";

/// The errno values with which the kernel reports that it lacks a feature.
bool says_missing(int code) {
  return code == ENOENT || code == EOPNOTSUPP || code == EAFNOSUPPORT || code == EPROTONOSUPPORT;
}

/// EINVAL has many causes; it proves a missing feature only if the message refers to no other
/// object.
enum class Invalid : std::uint8_t { kProvesNothing, kProvesMissing };

std::uint8_t family_of(const nlmsghdr& message) {
  return static_cast<const nfgenmsg*>(mnl_nlmsg_get_payload(&message))->nfgen_family;
}

/// Whether the kernel refuses, as unknown, the message that `put` adds after a new table.
bool is_missing(Netlink& netlink, std::uint8_t family, Invalid invalid,
                const std::function<void(Batch&)>& put) {
  Batch batch(0);  // 0: any generation
  Message table(NFT_MSG_NEWTABLE, family, NLM_F_CREATE);
  table.text(NFTA_TABLE_NAME, kProbe);
  batch.add(table);
  put(batch);
  batch.abandon();
  const auto errors = netlink.send(batch);
  if (!errors) return false;
  for (const BatchError& error : *errors) {
    if (error.sequence != batch.last_sequence()) continue;
    if (says_missing(error.code)) return true;
    if (error.code == EINVAL && invalid == Invalid::kProvesMissing) return true;
  }
  return false;
}

/// Repeats the refused message for an object named kProbe in the probe's table. The attributes of
/// table and name have the same numbers in chains and sets.
void put_alike(Batch& batch, const nlmsghdr& refused) {
  static_assert(int{NFTA_CHAIN_TABLE} == int{NFTA_SET_TABLE});
  const int type = NFNL_MSG_TYPE(refused.nlmsg_type);
  const int name = type == NFT_MSG_NEWSET ? int{NFTA_SET_NAME} : int{NFTA_CHAIN_NAME};
  Message message(type, family_of(refused), NLM_F_CREATE);
  message.text(NFTA_CHAIN_TABLE, kProbe).text(name, kProbe);
  Attributes(refused).for_each([&](const nlattr& attribute) {
    const int of = mnl_attr_get_type(&attribute);
    if (of != NFTA_CHAIN_TABLE && of != name)
      message.bytes(attribute.nla_type, payload_of(attribute));
  });
  batch.add(message);
}

/// A rule of one expression, copied from the refused rule. The kernel looks up the type before it
/// checks the registers, so only a missing type is reported as missing.
void put_rule(Batch& batch, std::uint8_t family, const nlattr& expression) {
  Message chain(NFT_MSG_NEWCHAIN, family, NLM_F_CREATE);
  chain.text(NFTA_CHAIN_TABLE, kProbe).text(NFTA_CHAIN_NAME, kProbe);
  batch.add(chain);
  Message rule(NFT_MSG_NEWRULE, family, NLM_F_CREATE | NLM_F_APPEND);
  rule.text(NFTA_RULE_TABLE, kProbe).text(NFTA_RULE_CHAIN, kProbe);
  nlattr* const list = rule.begin(NFTA_RULE_EXPRESSIONS);
  rule.bytes(NFTA_LIST_ELEM | NLA_F_NESTED, payload_of(expression));
  rule.end(list);
  batch.add(rule);
}

std::optional<std::string> missing_expression(Netlink& netlink, std::uint8_t family,
                                              const Attributes& rule) {
  const nlattr* const list = rule.find(NFTA_RULE_EXPRESSIONS);
  if (list == nullptr) return std::nullopt;
  std::optional<std::string> missing;
  Attributes(*list).for_each([&](const nlattr& expression) {
    const std::string name(Attributes(expression).text(NFTA_EXPR_NAME));
    // "lookup" and "immediate" are part of every nf_tables, and they name chains and sets that the
    // probe does not have. xt extensions are queried from nft_compat (iptables_nft/probe.h).
    const bool refers = name == "lookup" || name == "immediate";
    if (missing || refers || name == "match" || name == "target") return;
    const auto put = [&](Batch& batch) { put_rule(batch, family, expression); };
    if (is_missing(netlink, family, Invalid::kProvesNothing, put)) missing = "expression " + name;
  });
  return missing;
}

bool kernel_has_ipv6() {
  return ::access("/proc/thread-self/net/if_inet6", F_OK) == 0;
}

bool is_reason_to_probe(int code) {
  return says_missing(code) || code == EINVAL;
}

}  // namespace

std::optional<std::string> missing_ingredient(Netlink& netlink, const nlmsghdr* refused) {
  if (refused == nullptr) return std::nullopt;
  const std::uint8_t family = family_of(*refused);
  if (family == NFPROTO_IPV6 && !kernel_has_ipv6()) return "IPv6";
  const Attributes attributes(*refused);
  const auto alike = [&](Batch& batch) { put_alike(batch, *refused); };
  switch (NFNL_MSG_TYPE(refused->nlmsg_type)) {
    case NFT_MSG_NEWTABLE:
      if (!is_missing(netlink, family, Invalid::kProvesMissing, [](Batch&) {})) break;
      return "tables of this family";
    case NFT_MSG_NEWCHAIN:
      if (!is_missing(netlink, family, Invalid::kProvesMissing, alike)) break;
      return "chains of type " + std::string(attributes.text(NFTA_CHAIN_TYPE));
    case NFT_MSG_NEWSET:
      if (!is_missing(netlink, family, Invalid::kProvesMissing, alike)) break;
      return "sets like " + std::string(attributes.text(NFTA_SET_NAME));
    case NFT_MSG_NEWRULE:
      return missing_expression(netlink, family, attributes);
    default:
      break;
  }
  return std::nullopt;
}

Error refusal(Netlink& netlink, const Batch& batch, const BatchError& error,
              const std::string& where) {
  const nlmsghdr* const message = batch.find(error.sequence);
  const std::string what = where + ", " + describe(message);
  if (error.code == ERESTART) {
    return {ErrorKind::kRetry, what + ": another process committed in the meantime"};
  }
  if (is_reason_to_probe(error.code)) {
    if (const auto missing = missing_ingredient(netlink, message)) {
      return {ErrorKind::kUnsupported, what + ": the kernel lacks " + *missing};
    }
  }
  Error result = netlink_error(what, error.code);
  // The observed state was out of date: read it again. This does not prove a missing feature.
  if (result.kind == ErrorKind::kAbsent) result.kind = ErrorKind::kRetry;
  if (result.kind == ErrorKind::kUnsupported) result.kind = ErrorKind::kUnavailable;
  return result;
}

}  // namespace nmanager::netlink
