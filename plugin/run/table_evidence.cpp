#include "plugin/run/table_evidence.h"

#include <array>
#include <string_view>

#include "hooks/detect/legacy_traces.h"
#include "hooks/netlink/objects.h"
#include "hooks/netlink/socket.h"

namespace nmanager::run {

namespace {

constexpr std::string_view kCanary = "KUBE-PROXY-CANARY";  // pkg/proxy/iptables in Kubernetes

/// True when `look` says so for any family; nothing when it cannot say it for one, nor true for the
/// other. A kernel without nf_tables holds nothing.
template <class Look>
std::optional<bool> in_any_family(Look look) {
  std::optional<bool> found = false;
  for (const Family family : kFamilies) {
    const Result<bool> answer = look(family);
    if (answer && *answer) return true;
    if (!answer && answer.error().kind != ErrorKind::kUnsupported) found.reset();
  }
  return found;
}

}  // namespace

struct TableEvidence::Memory {
  netlink::Netlink netlink;
  detect::LegacyTraces legacy;
};

TableEvidence::TableEvidence() : memory_(std::make_unique<Memory>()) {}
TableEvidence::~TableEvidence() = default;

std::optional<bool> TableEvidence::nft_table() {
  return in_any_family(
      [&](Family family) { return netlink::table_exists(memory_->netlink, family, "kube-proxy"); });
}

std::optional<bool> TableEvidence::canary() {
  const auto nft = in_any_family([&](Family family) {
    return netlink::chain_exists(memory_->netlink, family, "mangle", kCanary);
  });
  if (nft.value_or(false)) return true;
  const std::array chains{kCanary};
  const auto legacy = memory_->legacy.any_chain("mangle", chains);
  if (legacy && *legacy) return true;
  return nft && legacy ? std::optional(false) : std::nullopt;
}

}  // namespace nmanager::run
