#include "hooks/detect/evidence.h"

#include <optional>

#include "hooks/detect/legacy_traces.h"
#include "hooks/netlink/kube_chains.h"
#include "hooks/netlink/objects.h"
#include "hooks/netlink/socket.h"
#include "hooks/values/kube_chain.h"

namespace nmanager::detect {

namespace {

/// Whether `table` has any of `chains`, in either family.
Result<bool> any_chain(netlink::Netlink& netlink, std::string_view table,
                       std::span<const std::string_view> chains) {
  for (const Family family : kFamilies) {
    for (const std::string_view chain : chains) {
      const auto found = netlink::chain_exists(netlink, family, table, chain);
      if (!found || *found) return found;
    }
  }
  return false;
}

/// Stores the answer, or the reason why there is none.
void note(const Result<bool>& answer, std::optional<bool>& into, std::string& problem) {
  if (answer) {
    into = *answer;
  } else {
    problem = answer.error().message;
  }
}

void look_at_nft(netlink::Netlink& netlink, VariantEvidence& evidence) {
  if (const auto generation = netlink.generation(); !generation) {
    evidence.problem = generation.error().message;
    evidence.nft_possible = generation.error().kind != ErrorKind::kUnsupported;
    return;
  }
  note(any_chain(netlink, "mangle", kKubeHintChains), evidence.nft.hint, evidence.problem);
  const std::string_view services[] = {kKubeServices};
  note(any_chain(netlink, "nat", services), evidence.nft.services, evidence.problem);
  if (!evidence.nft.services.value_or(false)) return;
  for (const Family family : kFamilies) {
    const auto stamp = netlink::read_kube_stamp(netlink, family);
    evidence.nft.stamp = evidence.nft.stamp * 31 + (stamp ? *stamp : 0);
  }
}

}  // namespace

struct VariantLook::Memory {
  netlink::Netlink netlink;
  LegacyTraces legacy;
};

VariantLook::VariantLook() : memory_(std::make_unique<Memory>()) {}
VariantLook::~VariantLook() = default;

VariantEvidence VariantLook::gather() {
  VariantEvidence evidence;
  look_at_nft(memory_->netlink, evidence);
  note(memory_->legacy.any_chain("mangle", kKubeHintChains), evidence.legacy.hint,
       evidence.problem);
  const std::string_view services[] = {kKubeServices};
  note(memory_->legacy.any_chain("nat", services), evidence.legacy.services, evidence.problem);
  if (evidence.legacy.services.value_or(false)) {
    evidence.legacy.stamp = memory_->legacy.kube_stamp("nat");
  }
  return evidence;
}

}  // namespace nmanager::detect
