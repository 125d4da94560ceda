// Which extension does the kernel lack? Asked only after it refused something.
#pragma once

#include <optional>
#include <string>

#include "hooks/netlink/socket.h"
#include "hooks/xt/extensions.h"

namespace nmanager::iptables_nft {

/// Does the kernel know this revision of the extension? An error: it lacks nft_compat itself.
/// Asking may load the extension's module, as the commit just tried did.
[[nodiscard]] Result<bool> knows_extension(netlink::Netlink& netlink, Family family,
                                           const xt::Extension& extension);

/// The sentence for the log, e.g. `kernel lacks xt match "addrtype" for nft (nft_compat)`.
[[nodiscard]] std::string lacks(const xt::Extension& extension);

/// What of `extensions` is missing, as a kUnsupported error; nothing: all is there.
[[nodiscard]] std::optional<Error> missing_extension(netlink::Netlink& netlink, Family family,
                                                     const std::vector<xt::Extension>& extensions);

}  // namespace nmanager::iptables_nft
