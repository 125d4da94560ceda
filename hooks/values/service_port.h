// One port of a Service.
#pragma once

#include <compare>
#include <cstdint>

#include "hooks/values/rule.h"

namespace nmanager {

struct ServicePort {
  Protocol protocol = Protocol::kTcp;
  std::uint16_t port = 0;
  auto operator<=>(const ServicePort&) const = default;
};

}  // namespace nmanager
