// The sources that may use an external address (loadBalancerSourceRanges). Pure.
#pragma once

#include <span>
#include <vector>

#include "hooks/values/address.h"

namespace nmanager {

/// The blocks of one family, sorted, without those contained in another one.
[[nodiscard]] std::vector<Prefix> outermost(std::span<const Prefix> prefixes, Family family);

}  // namespace nmanager
