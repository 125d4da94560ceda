// The kernel's numbers of the hooks.
#pragma once

#include <cstdint>

#include "hooks/values/table.h"

namespace nmanager {

/// The numbers of enum nf_inet_hooks. linux/netfilter.h cannot be included everywhere: it conflicts
/// with <netinet/in.h> if they are included in the wrong order.
constexpr std::uint32_t hook_number(Hook hook) {
  switch (hook) {
    case Hook::kPrerouting:
      return 0;  // NF_INET_PRE_ROUTING
    case Hook::kInput:
      return 1;  // NF_INET_LOCAL_IN
    case Hook::kForward:
      return 2;  // NF_INET_FORWARD
    case Hook::kOutput:
      break;
  }
  return 3;  // NF_INET_LOCAL_OUT
}

}  // namespace nmanager
