// The sources that may use an external address (loadBalancerSourceRanges). Pure.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "hooks/intent/external_addresses.h"
#include "hooks/values/address.h"

namespace nmanager {

/// The blocks of one family, sorted, without those contained in another one.
[[nodiscard]] std::vector<Prefix> outermost(std::span<const Prefix> prefixes, Family family);

/// The sources of `within` (nullopt: any) that may use the address; nullopt in it: every one.
/// Empty: none of them may.
[[nodiscard]] std::vector<std::optional<Prefix>> sources_of(const ExternalAddress& entry,
                                                            const std::optional<Prefix>& within);

}  // namespace nmanager
