#include "hooks/intent/table_spec.h"

#include <algorithm>
#include <cstdint>
#include <set>
#include <utility>

#include "hooks/intent/digest.h"

namespace nmanager {

namespace {

void add(Digest& digest, const DropInvalid& drop) {
  digest.add(static_cast<std::uint64_t>(drop.hook));
  digest.add(static_cast<std::uint64_t>(drop.action));
  digest.add(std::uint64_t{drop.source.has_value()});
  if (drop.source) digest.add(*drop.source);
  digest.add(std::uint64_t{drop.spares_syn_ack});
  digest.add(drop.exempt.interfaces);
  digest.add(drop.exempt.sources);
  digest.add(drop.exempt.destinations);
}

void add(Digest& digest, const ExternalCluster& external) {
  digest.add(std::uint64_t{external.settings.pod_cidr.has_value()});
  if (external.settings.pod_cidr) digest.add(*external.settings.pod_cidr);
  digest.add(static_cast<std::uint64_t>(external.settings.match));
  digest.add(static_cast<std::uint64_t>(external.settings.masquerade_bit));
  digest.add(external.addresses.digest());
}

struct HooksOf {
  std::set<Hook>& hooks;

  void operator()(const DropInvalid& drop) const {
    if (drop.action != InvalidAction::kLeave) hooks.insert(drop.hook);
  }
  void operator()(const ExternalCluster& external) const {
    if (external.settings.pod_cidr) hooks.insert(Hook::kPrerouting);
    hooks.insert(Hook::kOutput);
  }
};

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
    result.addresses.set(external,
                         settle_claims(std::exchange(claims, {}), settings.match).entries);
  }
  return result;
}

std::vector<Hook> hooks_of(const TableSpec& spec) {
  std::set<Hook> hooks;
  for (const RuleFamily& family : spec.families) std::visit(HooksOf{hooks}, family);
  return {hooks.begin(), hooks.end()};
}

const ExternalCluster* external_of(const TableSpec& spec) {
  for (const RuleFamily& family : spec.families) {
    if (const auto* external = std::get_if<ExternalCluster>(&family)) return external;
  }
  return nullptr;
}

const ExternalCluster* only_external_of(const TableSpec& spec) {
  return spec.families.size() == 1 ? external_of(spec) : nullptr;
}

bool wants_addresses_only(const TableSpec& spec) {
  const ExternalCluster* external = only_external_of(spec);
  return external != nullptr && !external->addresses.empty();
}

std::uint64_t digest_of(const TableSpec& spec) {
  Digest digest;
  for (const RuleFamily& family : spec.families) {
    digest.add(static_cast<std::uint64_t>(family.index()));
    std::visit([&](const auto& one) { add(digest, one); }, family);
  }
  return digest.value();
}

}  // namespace nmanager
