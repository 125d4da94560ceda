#include "hooks/netlink/kube_chains.h"

#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_tables.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "hooks/intent/kube_checksum.h"
#include "hooks/netlink/objects.h"
#include "hooks/values/kube_chain.h"

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

Result<std::uint64_t> sum_chains(Netlink& netlink, TableId id) {
  ChecksumSum sum;
  std::vector<std::uint8_t> bytes;
  for (const std::string_view chain : kKubeRewrittenChains) {
    const Status status = read_rules(netlink, id, chain, [&](const nlmsghdr& message) {
      collect_bytes(message, bytes);
      sum.add_rule(chain, bytes, jump_target(message));
    });
    if (!status) return status.error();
  }
  return sum.sum();
}

}  // namespace

Result<KubeStamp> read_kube_stamp(Netlink& netlink, Family family) {
  KubeStamp stamp = 0;
  for (int read = 0; read < kReads; ++read) {
    stamp = 0;
    const Status status =
        read_rules(netlink, {family, Table::kNat}, kKubeMarkMasq, [&](const nlmsghdr& message) {
          stamp = std::max(stamp, Attributes(message).be64(NFTA_RULE_HANDLE));
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
    // The chains are read one by one: the sum is valid only if all are of one generation.
    if (sum && *before == *after) return KubeChecksum{true, *sum};
  }
  return Error{ErrorKind::kRetry, "KUBE-* chains change faster than they can be read"};
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
