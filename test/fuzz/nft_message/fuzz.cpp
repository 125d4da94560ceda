// Any bytes as the kernel's dump of nf_tables rules, a sequence of messages: they are read within
// their bounds, and a rule that is decoded as ours is one that we could have written.
#include <libnftnl/rule.h>
#include <linux/netlink.h>

#include <cstdint>
#include <vector>

#include "hooks/iptables_nft/codec.h"
#include "hooks/netlink/message.h"
#include "hooks/netlink/objects.h"
#include "test/fuzz/require.h"

using nmanager::Family;
using nmanager::test::require;

namespace {

void look_at(const nlmsghdr& message) {
  (void)nmanager::netlink::jump_target(message);
  for (const Family family : {Family::kIpv4, Family::kIpv6}) {
    const nmanager::chains::ObservedRule seen =
        nmanager::iptables_nft::decode_rule(family, message);
    if (seen.rule) require(nmanager::iptables_nft::encode_rule(family, *seen.rule) != nullptr);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // Aligned like the receive buffer, and of exact size.
  const std::vector<char> exact(data, data + size);
  nmanager::netlink::for_each_message(exact.data(), size, look_at);
  return 0;
}
