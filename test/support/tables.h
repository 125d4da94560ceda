// The four tables that contain our rules, by short names.
#pragma once

#include "hooks/values/table.h"

namespace nmanager::test {

inline constexpr TableId kFilter4{Family::kIpv4, Table::kFilter};
inline constexpr TableId kFilter6{Family::kIpv6, Table::kFilter};
inline constexpr TableId kNat4{Family::kIpv4, Table::kNat};
inline constexpr TableId kNat6{Family::kIpv6, Table::kNat};

}  // namespace nmanager::test
