#include "plugin/services/qualify.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <iterator>
#include <optional>
#include <set>

namespace nmanager::services {

namespace {

bool usable(const Address& address) {
  return !address.is_unspecified() && !address.is_loopback() && !address.is_link_local() &&
         !address.is_multicast();
}

/// What of a Service holds for all of its addresses of one family.
struct FamilyFacts {
  std::optional<Address> cluster_ip;
  std::vector<Prefix> ranges;  // loadBalancerSourceRanges
};

FamilyFacts facts_of(const Service& service, Family family) {
  FamilyFacts facts{service.cluster_ips.of(family), {}};
  std::ranges::copy_if(service.source_ranges, std::back_inserter(facts.ranges),
                       [&](const Prefix& range) { return range.family() == family; });
  return facts;
}

/// Upper bound of the port matches that the Service's rules have, in any backend.
std::size_t port_matches(const Service& service) {
  const std::size_t addresses = service.external_ips.size() + service.ingress.size();
  return addresses * std::max<std::size_t>(service.source_ranges.size(), 1) * service.ports.size();
}

bool is_malformed(const Service& service, std::string_view field) {
  return std::ranges::any_of(service.malformed,
                             [&](const std::string& name) { return name.starts_with(field); });
}

/// A reason that applies to every address of the Service; nullopt if there is none.
std::optional<SkipReason> skip_all(const Service& service, const QualifySettings& settings) {
  if (service.type == ServiceType::kExternalName) return SkipReason::kExternalName;
  if (service.headless) return SkipReason::kHeadless;
  const bool balanced = service.type == ServiceType::kLoadBalancer;
  const bool named = !service.ingress.empty() || service.ingress_without_ip > 0;
  if (service.external_ips.empty() && !(balanced && named)) {
    if (!service.malformed.empty()) return SkipReason::kMalformed;
    return balanced ? SkipReason::kPending : SkipReason::kNoExternalAddress;
  }
  if (!service.external_policy_local && !settings.any_external_policy) {
    return SkipReason::kExternalPolicyCluster;
  }
  if (service.internal_policy_local) return SkipReason::kInternalPolicyLocal;
  if (service.ports.empty()) {
    return is_malformed(service, "spec.ports") ? SkipReason::kMalformed : SkipReason::kNoPorts;
  }
  if (port_matches(service) > kMostPortMatches) return SkipReason::kTooLarge;
  return std::nullopt;
}

class AddressQualifier {
 public:
  AddressQualifier(const Service& service, const QualifySettings& settings, Qualification& result)
      : service_(service),
        settings_(settings),
        result_(result),
        facts_{facts_of(service, Family::kIpv4), facts_of(service, Family::kIpv6)},
        cluster_ip_malformed_(is_malformed(service, "spec.clusterIP")),
        restricted_(!service.source_ranges.empty() ||
                    is_malformed(service, "spec.loadBalancerSourceRanges")) {}

  void add(const Address& ip, bool source_ranges_apply) {
    if (!usable(ip)) return skip(SkipReason::kUnusableAddress, ip);
    const FamilyFacts& facts = facts_[static_cast<std::size_t>(ip.family())];
    if (!facts.cluster_ip) {
      return skip(cluster_ip_malformed_ ? SkipReason::kMalformed : SkipReason::kNoClusterIpOfFamily,
                  ip);
    }
    // kube-proxy drops the restriction for a family without a range. That must not open access
    // here: without a range of the family, no source is allowed.
    const bool restricted = source_ranges_apply && restricted_;
    if (restricted && facts.ranges.empty()) return skip(SkipReason::kSourceRanges, ip);
    if (ip == *facts.cluster_ip) return skip(SkipReason::kUnusableAddress, ip);
    auto ports = service_.ports;
    if (take_api_server_out(ip, ports)) skip(SkipReason::kApiServer, ip);
    if (ports.empty()) return;
    result_.addresses.push_back({ip, *facts.cluster_ip, service_.key, std::move(ports),
                                 restricted ? facts.ranges : std::vector<Prefix>()});
  }

  void skip(SkipReason reason, const Address& ip) {
    result_.skipped.push_back({reason, to_string(ip)});
  }

 private:
  /// Removes the API server's port, or all ports when matching by address. True if any was removed.
  bool take_api_server_out(const Address& ip, std::vector<ServicePort>& ports) const {
    const std::size_t all = ports.size();
    for (const Endpoint& server : settings_.api_servers) {
      if (server.address == ip) std::erase(ports, ServicePort{Protocol::kTcp, server.port});
    }
    const bool found = ports.size() < all;
    if (found && settings_.match == MatchBy::kAddress) ports.clear();
    return found;
  }

  const Service& service_;
  const QualifySettings& settings_;
  Qualification& result_;
  std::array<FamilyFacts, kFamilies.size()> facts_;
  bool cluster_ip_malformed_;
  bool restricted_;
};

}  // namespace

Qualification qualify(const Service& service, const QualifySettings& settings) {
  Qualification result;
  if (const auto reason = skip_all(service, settings)) {
    result.skipped.push_back({*reason, {}});
    return result;
  }
  AddressQualifier qualifier(service, settings, result);
  for (const std::string& field : service.malformed) {
    result.skipped.push_back({SkipReason::kMalformed, field});
  }
  std::set<Address> taken;  // a repeated address needs only one set of rules
  for (const Address& ip : service.external_ips) {
    if (taken.insert(ip).second) qualifier.add(ip, false);
  }
  if (service.type != ServiceType::kLoadBalancer) return result;
  // Of two entries for one address the one that kube-proxy serves counts.
  for (const bool vip : {true, false}) {
    for (const LoadBalancerIngress& ingress : service.ingress) {
      // One that is an externalIP too: kube-proxy puts no source range on it.
      if (ingress.vip != vip || !taken.insert(ingress.ip).second) continue;
      if (vip) {
        qualifier.add(ingress.ip, true);
      } else {
        qualifier.skip(SkipReason::kIpModeProxy, ingress.ip);
      }
    }
  }
  for (int i = 0; i < service.ingress_without_ip; ++i) {
    result.skipped.push_back({SkipReason::kHostnameOnly, {}});
  }
  return result;
}

}  // namespace nmanager::services
