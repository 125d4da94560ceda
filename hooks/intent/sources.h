// Who may use an external address (loadBalancerSourceRanges). Pure.
#pragma once

#include <span>
#include <vector>

#include "hooks/values/address.h"

namespace nmanager {

/// Those of one family, sorted; none that another one contains.
[[nodiscard]] std::vector<Prefix> outermost(std::span<const Prefix> prefixes, Family family);

}  // namespace nmanager
