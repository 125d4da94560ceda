#include "plugin/run/real_kernel.h"

#include <array>
#include <string_view>
#include <utility>

#include "hooks/conntrack/forget_flows.h"
#include "hooks/iptables_legacy/legacy_backend.h"
#include "hooks/iptables_nft/nft_backend.h"
#include "hooks/netlink/objects.h"
#include "hooks/nftables/nftables_backend.h"

namespace nmanager::run {

namespace {

constexpr std::string_view kCanary = "KUBE-PROXY-CANARY";  // pkg/proxy/iptables in Kubernetes
constexpr std::string_view kNativeTable = "kube-proxy";    // pkg/proxy/nftables

/// True if `look` returns true for a family; nullopt if it fails for one and is not true for the
/// other. A kernel without nf_tables has no objects.
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

BackendPair make_legacy(const BackendOptions& options, std::function<bool()> stop_requested) {
  iptables_legacy::LegacyOptions legacy;
  legacy.lock_wait = options.lock_wait;
  legacy.create_tables = options.create_tables;
  legacy.stop_requested = std::move(stop_requested);
  return {iptables_legacy::make_legacy_backend(legacy), iptables_legacy::make_legacy_watch(legacy)};
}

template <class Made>
Result<BackendPair> as_pair(Result<Made> made) {
  if (!made) return made.error();
  return BackendPair{std::move(made->backend), std::move(made->watch)};
}

}  // namespace

Result<BackendPair> RealKernel::make_backend(BackendChoice choice, const BackendOptions& options) {
  switch (choice) {
    case BackendChoice::kLegacy:
      return make_legacy(options, stop_requested_);
    case BackendChoice::kNft:
      return as_pair(iptables_nft::make_nft_backend(
          {.create_tables = options.create_tables, .poll_only = options.poll_only}));
    case BackendChoice::kNftables:
      return as_pair(nftables::make_nftables_backend({.poll_only = options.poll_only}));
    case BackendChoice::kAuto:
      break;
  }
  return Error{ErrorKind::kBug, "auto is not a backend"};
}

neighbour::KernelEvidence RealKernel::evidence() {
  neighbour::KernelEvidence evidence = neighbour::gather_kernel_evidence();
  evidence.nft_table = in_any_family(
      [&](Family family) { return netlink::table_exists(netlink_, family, kNativeTable); });
  return evidence;
}

std::optional<bool> RealKernel::canary() {
  const auto nft = in_any_family(
      [&](Family family) { return netlink::chain_exists(netlink_, family, "mangle", kCanary); });
  if (nft.value_or(false)) return true;
  const std::array chains{kCanary};
  const auto legacy = legacy_.any_chain("mangle", chains);
  if (legacy && *legacy) return true;
  return nft && legacy ? std::optional(false) : std::nullopt;
}

Result<std::vector<Address>> RealKernel::forget_flows(Family family, const UdpChange& change) {
  return conntrack::forget_udp_flows(family, change);
}

}  // namespace nmanager::run
