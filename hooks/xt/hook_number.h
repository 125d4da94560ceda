// The kernel's numbers of the hooks.
#pragma once

#include <netinet/in.h>

// Behind <netinet/in.h>: the other way round both define the same.
#include <linux/netfilter.h>

#include <cstdint>

#include "hooks/values/table.h"

namespace nmanager {

/// NF_INET_* (linux/netfilter.h).
constexpr std::uint32_t hook_number(Hook hook) {
  switch (hook) {
    case Hook::kPrerouting:
      return NF_INET_PRE_ROUTING;
    case Hook::kInput:
      return NF_INET_LOCAL_IN;
    case Hook::kOutput:
      return NF_INET_LOCAL_OUT;
  }
  return NF_INET_NUMHOOKS;
}

}  // namespace nmanager
