#include "hooks/values/kube_chain.h"

#include <algorithm>

namespace nmanager {

namespace {

constexpr std::array<std::string_view, 10> kOtherChains{
    "KUBE-FORWARD",        "KUBE-FIREWALL",    "KUBE-PROXY-FIREWALL",
    "KUBE-MARK-DROP",      "KUBE-NODE-PORT",   "KUBE-EXTERNAL-SERVICES",
    "KUBE-LOAD-BALANCER",  "KUBE-IPVS-FILTER", "KUBE-SOURCE-RANGES-FIREWALL",
    "KUBE-IPVS-OUT-FILTER"};

/// Prefixes of the chains for one Service, port or endpoint; 16 characters of a base32 hash follow.
constexpr std::array<std::string_view, 6> kHashedChains{"KUBE-SVC-", "KUBE-SVL-", "KUBE-SEP-",
                                                        "KUBE-FW-",  "KUBE-EXT-", "KUBE-XLB-"};

bool is_hash(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  });
}

}  // namespace

bool is_kube_chain(std::string_view name) {
  if (!name.starts_with("KUBE-")) return false;
  const auto is_listed = [&](const auto& chains) {
    return std::ranges::find(chains, name) != chains.end();
  };
  return is_listed(kKubeRewrittenChains) || is_listed(kOtherChains) || is_listed(kKubeHintChains) ||
         std::ranges::any_of(kHashedChains, [&](auto prefix) {
           return name.starts_with(prefix) && is_hash(name.substr(prefix.size()));
         });
}

}  // namespace nmanager
