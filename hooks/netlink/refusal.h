// The cause of a refused batch: another process was faster, an object is in use, or the kernel
// lacks a feature, which is proven by a request for that feature alone.
#pragma once

#include <optional>
#include <string>

#include "hooks/netlink/batch.h"
#include "hooks/netlink/socket.h"

namespace nmanager::netlink {

/// The part of a refused message that the kernel does not support: "expression fib", "chains of
/// type nat", "IPv6". Tested with a batch that is validated and never committed. nullopt: the
/// kernel supports every part, or the test failed.
[[nodiscard]] std::optional<std::string> missing_ingredient(Netlink& netlink,
                                                            const nlmsghdr* refused);

/// Converts a refusal to an Error: kDenied; kUnsupported only when missing_ingredient() proves it;
/// every other refusal means that the table differs from what was observed: kRetry or kUnavailable.
/// `where` names the table.
[[nodiscard]] Error refusal(Netlink& netlink, const Batch& batch, const BatchError& error,
                            const std::string& where);

}  // namespace nmanager::netlink
