// What a refused batch means: somebody was faster, something is held, or the kernel lacks a part,
// which is proven by asking for that part alone.
#pragma once

#include <optional>
#include <string>

#include "hooks/netlink/batch.h"
#include "hooks/netlink/socket.h"

namespace nmanager::netlink {

/// The ingredient of a refused message that the kernel does not have: "expression fib", "chains of
/// type nat", "IPv6". Asked by a batch that is validated and never committed; nothing: it has all,
/// or it could not be told.
[[nodiscard]] std::optional<std::string> missing_ingredient(Netlink& netlink,
                                                            const nlmsghdr* refused);

/// kUnsupported only when missing_ingredient() proves it, and kDenied. Everything else says that
/// the table is not what it was taken for: kRetry, or kUnavailable. `where` names the table.
[[nodiscard]] Error refusal(Netlink& netlink, const Batch& batch, const BatchError& error,
                            const std::string& where);

}  // namespace nmanager::netlink
