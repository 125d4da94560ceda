#include "hooks/iptables_nft/probe.h"

#include <linux/netfilter/nf_tables_compat.h>
#include <linux/netfilter/nfnetlink.h>

#include <cerrno>

namespace nmanager::iptables_nft {

Result<bool> knows_extension(netlink::Netlink& netlink, Family family,
                             const xt::Extension& extension) {
  netlink::Message request(NFNL_SUBSYS_NFT_COMPAT << 8 | NFNL_MSG_COMPAT_GET,
                           netlink::nf_family(family), 0);
  request.text(NFTA_COMPAT_NAME, extension.name)
      .be32(NFTA_COMPAT_REV, extension.revision)
      .be32(NFTA_COMPAT_TYPE, extension.is_target ? 1 : 0);
  const auto code = netlink.answer_to(*request.header(), [](const nlmsghdr&) {});
  if (!code) return code.error();
  switch (*code) {
    case 0:
      return true;
    case ENOENT:
    case EPROTONOSUPPORT:  // the revision is not supported
      return false;
    case EINVAL:  // no handler for this subsystem
    case EOPNOTSUPP:
      return Error{ErrorKind::kUnsupported, "kernel lacks nft_compat (CONFIG_NFT_COMPAT)"};
    default:
      return netlink::netlink_error("querying an xt extension", *code);
  }
}

std::string lacks(const xt::Extension& extension) {
  return std::string("kernel lacks xt ") + (extension.is_target ? "target" : "match") + " \"" +
         std::string(extension.name) + "\" for nft (nft_compat)";
}

std::optional<Error> missing_extension(netlink::Netlink& netlink, Family family,
                                       const std::vector<xt::Extension>& extensions) {
  for (const xt::Extension& extension : extensions) {
    const Result<bool> known = knows_extension(netlink, family, extension);
    if (!known && known.error().kind != ErrorKind::kUnsupported) return std::nullopt;
    if (!known) return known.error();
    if (!*known) return Error{ErrorKind::kUnsupported, lacks(extension)};
  }
  return std::nullopt;
}

}  // namespace nmanager::iptables_nft
