#include "hooks/netlink/kube_chains.h"

#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nf_tables_compat.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "hooks/intent/kube_checksum.h"
#include "hooks/netlink/objects.h"
#include "hooks/values/kube_chain.h"
#include "hooks/xt/payload.h"

namespace nmanager::netlink {

namespace {

/// How often a read is tried that a commit interrupts.
constexpr int kReads = 5;

/// The bytes of the dumped expressions that decide the path of a packet: all except counters.
void collect_bytes(const nlmsghdr& message, std::vector<std::uint8_t>& bytes) {
  bytes.clear();
  const nlattr* const list = Attributes(message).find(NFTA_RULE_EXPRESSIONS);
  if (list == nullptr) return;
  Attributes(*list).for_each([&](const nlattr& element) {
    if (Attributes(element).text(NFTA_EXPR_NAME) == "counter") return;
    const auto* const raw = static_cast<const std::uint8_t*>(mnl_attr_get_payload(&element));
    bytes.insert(bytes.end(), raw, raw + mnl_attr_get_payload_len(&element));
  });
}

Result<KubeChecksum> sum_chains(Netlink& netlink, TableId id) {
  KubeChecksum result{true, true, 0};
  ChecksumSum sum;
  std::vector<std::uint8_t> bytes;
  for (const std::string_view chain : kKubeRewrittenChains) {
    const Status status = read_rules(netlink, id, chain, [&](const nlmsghdr& message) {
      collect_bytes(message, bytes);
      if (chain == kKubeServices) result.empty = false;
      sum.add_rule(chain, bytes, jump_target(message));
    });
    if (!status) return status.error();
  }
  result.sum = sum.sum();
  return result;
}

/// As iptables-nft writes it, whatever else the rule matches or counts (nfacct).
bool matches_invalid(const nlmsghdr& message) {
  bool found = false;
  for_each_expression(message, [&](std::string_view name, const Attributes& data) {
    if (name != "match" || data.text(NFTA_MATCH_NAME) != xt::kConntrack.name) return;
    const auto revision = static_cast<std::uint8_t>(data.be32(NFTA_MATCH_REV));
    found = found || xt::matches_invalid(revision, data.bytes(NFTA_MATCH_INFO));
  });
  return found;
}

}  // namespace

Result<KubeStamp> read_kube_stamp(Netlink& netlink, Family family) {
  const TableId nat{family, Table::kNat};
  for (int read = 0; read < kReads; ++read) {
    const auto services = chain_exists(netlink, family, to_string(nat.table), kKubeServices);
    if (!services) return services.error();
    if (!*services) return KubeStamp{0};
    const auto mark = chain_exists(netlink, family, to_string(nat.table), kKubeMarkMasq);
    if (!mark) return mark.error();
    // A chain that is absent, one that is empty and one with a rule (handles begin with 1) differ.
    KubeStamp stamp = *mark ? 2 : 1;
    const Status status = read_rules(netlink, nat, kKubeMarkMasq, [&](const nlmsghdr& message) {
      stamp = std::max(stamp, 2 + Attributes(message).be64(NFTA_RULE_HANDLE));
    });
    if (status) return stamp;
    if (status.error().kind != ErrorKind::kRetry) return status.error();
  }
  return Error{ErrorKind::kRetry, "KUBE-MARK-MASQ changes faster than it can be read"};
}

Result<KubeChecksum> read_kube_checksum(Netlink& netlink, Family family) {
  const TableId id{family, Table::kNat};
  auto present = chain_exists(netlink, family, to_string(id.table), kKubeServices);
  if (!present) return present.error();
  if (!*present) return KubeChecksum{};
  for (int read = 0; read < kReads; ++read) {
    const auto before = netlink.generation();
    if (!before) return before.error();
    const auto sum = sum_chains(netlink, id);
    if (!sum && sum.error().kind != ErrorKind::kRetry) return sum.error();
    const auto after = netlink.generation();
    if (!after) return after.error();
    // The chains are read one by one: all of one generation, or not at all.
    if (sum && *before == *after) return *sum;
  }
  return Error{ErrorKind::kRetry, "KUBE-* chains change faster than they can be read"};
}

Result<std::optional<bool>> kube_drops_invalid(Netlink& netlink, Family family) {
  const TableId filter{family, Table::kFilter};
  bool any = false;
  bool found = false;
  const Status status = read_rules(netlink, filter, kKubeForward, [&](const nlmsghdr& message) {
    any = true;
    found = found || (is_drop(message) && matches_invalid(message));
  });
  if (!status) return status.error();
  if (any) return std::optional(found);
  const auto chain = chain_exists(netlink, family, to_string(filter.table), kKubeForward);
  if (!chain) return chain.error();
  return *chain ? std::optional(false) : std::nullopt;
}

Result<std::optional<bool>> has_kube_jumps(Netlink& netlink, TableId id) {
  const auto kube = chain_exists(netlink, id.family, to_string(id.table), kKubeServices);
  if (!kube) return kube.error();
  if (!*kube) return std::optional<bool>();
  for (const Hook hook : hooks_of(id.table)) {
    bool found = false;
    const Status status = read_rules(netlink, id, to_string(hook), [&](const nlmsghdr& message) {
      found = found || is_kube_chain(jump_target(message));
    });
    if (!status) return status.error();
    if (!found) return std::optional(false);
  }
  return std::optional(true);
}

}  // namespace nmanager::netlink
