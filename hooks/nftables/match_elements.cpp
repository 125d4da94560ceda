#include "hooks/nftables/match_elements.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "hooks/values/hash.h"

namespace nmanager::nftables {

namespace {

/// A power of two. The processor's first cache holds so many: with 32,768 they took as long as all
/// the rest of see().
constexpr std::size_t kMostBuckets = 4'096;

}  // namespace

MatchElements::MatchElements(const SetId& id, std::shared_ptr<const TableSpec> spec)
    : spec_(std::move(spec)) {
  const ExternalCluster& external = *external_of(*spec_);
  if (external.settings.match != id.by) return;
  buckets_.resize(std::min(kMostBuckets, std::bit_ceil(external.addresses.size() + 1)));
  for (const auto& [address, entries] : external.addresses.map()) {
    buckets_[bucket_of(address)] += sum_of(id, *entries);
  }
}

std::size_t MatchElements::bucket_of(const Address& address) const {
  return hash_bytes(address.bytes()) & (buckets_.size() - 1);
}

void MatchElements::see(const Element& element) {
  buckets_[bucket_of(element.external)] -= hash_of(element);
}

bool MatchElements::all_match() const {
  return std::ranges::all_of(buckets_, [](std::uint64_t sum) { return sum == 0; });
}

bool MatchElements::may_differ(const Address& address) const {
  return buckets_[bucket_of(address)] != 0;
}

std::shared_ptr<const TableSpec> MatchElements::matching() const {
  if (all_match()) return spec_;
  ExternalCluster rest = *external_of(*spec_);
  for (const auto& one : external_of(*spec_)->addresses.map()) {
    if (may_differ(one.first)) rest.addresses.set(one.first, std::vector<ExternalAddress>());
  }
  return std::make_shared<const TableSpec>(TableSpec{{std::move(rest)}});
}

}  // namespace nmanager::nftables
