// Any bytes as what the kernel dumps of nf_tables rules, one message behind the other: read within
// their bounds, and what is taken for a rule of ours is one that we could have written.
#include <libmnl/libmnl.h>
#include <libnftnl/rule.h>

#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "hooks/nft/codec.h"
#include "hooks/nft/message.h"
#include "test/fuzz/require.h"

using nmanager::Family;
using nmanager::test::require;

namespace {

void read(const nlmsghdr& message) {
  (void)nmanager::jump_target(message);
  for (const Family family : {Family::kIpv4, Family::kIpv6}) {
    const nmanager::ObservedRule seen = nmanager::decode_rule(family, message);
    if (seen.rule) require(nmanager::encode_rule(family, *seen.rule) != nullptr);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0 || size > std::size_t{1} << 20) return 0;
  // Aligned as the receive buffer is, and of exact size.
  const std::vector<std::uint8_t> exact(data, data + size);
  const auto* message = reinterpret_cast<const nlmsghdr*>(exact.data());
  for (int rest = static_cast<int>(size); mnl_nlmsg_ok(message, rest);
       message = mnl_nlmsg_next(message, &rest)) {
    read(*message);
  }
  return 0;
}
