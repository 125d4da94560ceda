// Finds the extension that the kernel lacks. Used only after the kernel refused a commit.
#pragma once

#include <optional>
#include <string>

#include "hooks/netlink/socket.h"
#include "hooks/xt/extensions.h"

namespace nmanager::iptables_nft {

/// Whether the kernel supports this revision of the extension. kUnsupported: it lacks nft_compat.
/// The query may load the extension's module, as the commit before it did.
[[nodiscard]] Result<bool> knows_extension(netlink::Netlink& netlink, Family family,
                                           const xt::Extension& extension);

/// The error text, e.g. `kernel lacks xt match "addrtype" for nft (nft_compat)`.
[[nodiscard]] std::string lacks(const xt::Extension& extension);

/// The first of `extensions` that is missing, as a kUnsupported error; nullopt: none is missing, or
/// it is unknown.
[[nodiscard]] std::optional<Error> missing_extension(netlink::Netlink& netlink, Family family,
                                                     const std::vector<xt::Extension>& extensions);

}  // namespace nmanager::iptables_nft
