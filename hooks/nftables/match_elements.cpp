#include "hooks/nftables/match_elements.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "hooks/values/hash.h"

namespace nmanager::nftables {

MatchElements::MatchElements(const SetId& id, const TableSpec& spec) {
  const ExternalCluster* external = external_of(spec);
  if (external == nullptr || external->settings.match != id.by) return;
  for (const auto& [address, entries] : external->addresses.map()) {
    addresses_.push_back({address, sum_of(id, *entries), {}});
  }
  table_.resize(std::bit_ceil(2 * addresses_.size() + 1));
  for (std::size_t i = 0; i < addresses_.size(); ++i) {
    std::size_t at = hash_bytes(addresses_[i].address.bytes());
    while (table_[at %= table_.size()] != 0) ++at;
    table_[at] = static_cast<std::uint32_t>(i + 1);
  }
}

MatchElements::Both* MatchElements::find(const Address& address) {
  for (std::size_t at = hash_bytes(address.bytes()); true; ++at) {
    const std::uint32_t place = table_[at % table_.size()];
    if (place == 0) return nullptr;
    if (addresses_[place - 1].address == address) return &addresses_[place - 1];
  }
}

void MatchElements::see(const Element& element) {
  if (Both* const both = find(element.external)) {
    both->seen.add(hash_of(element));
  } else {
    others_.insert(element.external);
  }
}

std::vector<Address> MatchElements::differing() const {
  std::set<Address> all = others_;
  for (const Both& one : addresses_) {
    if (one.seen != one.wanted) all.insert(one.address);
  }
  return {all.begin(), all.end()};
}

std::shared_ptr<const TableSpec> without(const TableSpec& spec,
                                         std::span<const Address> addresses) {
  ExternalCluster rest = *external_of(spec);
  for (const Address& address : addresses)
    rest.addresses.set(address, std::vector<ExternalAddress>());
  return std::make_shared<const TableSpec>(TableSpec{{std::move(rest)}});
}

}  // namespace nmanager::nftables
