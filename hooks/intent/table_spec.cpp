#include "hooks/intent/table_spec.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "hooks/intent/digest.h"

namespace nmanager {

namespace {

void add(Digest&, const NoRules&) {}

void add(Digest& digest, const DropInvalid& drop) {
  digest.add(drop.exempt_interfaces);
  digest.add(drop.exempt_sources);
  digest.add(drop.exempt_destinations);
}

void add(Digest& digest, const ExternalCluster& external) {
  digest.add(std::uint64_t{external.settings.pod_cidr.has_value()});
  if (external.settings.pod_cidr) digest.add(*external.settings.pod_cidr);
  digest.add(static_cast<std::uint64_t>(external.settings.match));
  digest.add(static_cast<std::uint64_t>(external.settings.masquerade_bit));
  digest.add(external.addresses.digest());
}

}  // namespace

ExternalCluster external_cluster(Family family, std::vector<ExternalAddress> addresses,
                                 const ExternalClusterSettings& settings) {
  std::erase_if(addresses, [&](const ExternalAddress& a) { return a.external.family() != family; });
  std::ranges::stable_sort(addresses, {}, &ExternalAddress::external);
  ExternalCluster result{{}, settings};
  std::vector<ExternalAddress> claims;
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    const Address external = addresses[i].external;
    claims.push_back(std::move(addresses[i]));
    if (i + 1 < addresses.size() && addresses[i + 1].external == external) continue;
    result.addresses.set(external, settle_claims(std::exchange(claims, {}), settings.match));
  }
  return result;
}

std::uint64_t digest_of(const TableSpec& spec) {
  Digest digest;
  digest.add(static_cast<std::uint64_t>(spec.index()));
  std::visit([&](const auto& one) { add(digest, one); }, spec);
  return digest.value();
}

}  // namespace nmanager
