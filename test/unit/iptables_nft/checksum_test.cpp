// The stamp and the checksum by which a sync of kube-proxy is detected.
#include <doctest/doctest.h>

#include <string>

#include "hooks/netlink/kube_chains.h"
#include "test/unit/iptables_nft/sandbox.h"

namespace nmanager::test {
using namespace nmanager::chains;
using namespace nmanager::iptables_nft;
using namespace nmanager::netlink;
namespace {

std::string kube_sync(Family family, bool reversed, const std::string& more = {}) {
  const std::string ip = family == Family::kIpv4 ? "10.96.0." : "fd00:96::";
  const std::string length = family == Family::kIpv4 ? "/32" : "/128";
  std::string first;
  std::string second;
  for (int i = 1; i <= 20; ++i) {
    const std::string line = "-A KUBE-SERVICES -d " + ip + std::to_string(i) + length +
                             " -p tcp -m comment --comment \"ns/svc" + std::to_string(i) +
                             " cluster IP\" -m tcp --dport 80 -j KUBE-SVC-A\n";
    first += line;
    second = line + second;
  }
  return ":KUBE-SERVICES - [0:0]\n:KUBE-NODEPORTS - [0:0]\n:KUBE-POSTROUTING - [0:0]\n"
         ":KUBE-MARK-MASQ - [0:0]\n:KUBE-SVC-A - [0:0]\n" +
         (reversed ? second : first) + more +
         "-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN\n"
         "-A KUBE-MARK-MASQ -j MARK --or-mark 0x4000\n";
}

struct Seen {
  KubeStamp stamp;
  KubeChecksum checksum;
};

Seen see(ChainBackend& backend, Family family) {
  const auto stamp = backend.kube_stamp(family);
  const auto checksum = backend.kube_checksum(family);
  if (!stamp) FAIL(stamp.error().message);
  if (!checksum) FAIL(checksum.error().message);
  return {*stamp, *checksum};
}

TEST_CASE("without kube-proxy there is no stamp, and reading creates nothing") {
  const Sandbox sandbox;
  if (!sandbox.usable()) return;
  const auto [nft, watch] = backend();
  for (const Family family : kFamilies) {
    const Seen seen = see(*nft, family);
    CHECK(seen.stamp == 0);
    CHECK_FALSE(seen.checksum.present);
  }
  CHECK(run("nft list tables").output.empty());
}

TEST_CASE("a sync changes the stamp; the sum depends on content, not order, handles or counters") {
  for (const Family family : kFamilies) {
    const Sandbox sandbox;
    if (!sandbox.usable()) return;
    const TableId nat{family, Table::kNat};
    const auto [nft, watch] = backend();
    restore(nat, kube_sync(family, false));
    const Seen first = see(*nft, family);
    CHECK(first.stamp != 0);
    CHECK(first.checksum.present);

    const Seen idle = see(*nft, family);
    CHECK(idle.stamp == first.stamp);
    CHECK(idle.checksum == first.checksum);

    restore(nat, kube_sync(family, true));
    const Seen reordered = see(*nft, family);
    CHECK(reordered.stamp != first.stamp);
    CHECK(reordered.checksum == first.checksum);

    must(iptables(nat) + " -I PREROUTING -j KUBE-SERVICES");
    apply(*nft, nat, desired(nat));
    must(iptables(nat) + " -A KUBE-SVC-A -j RETURN");
    CHECK(see(*nft, family).stamp == reordered.stamp);
    CHECK(see(*nft, family).checksum == first.checksum);

    const std::string more = "[7:700] -A KUBE-NODEPORTS -p tcp -j KUBE-SVC-A\n";
    restore(nat, kube_sync(family, true, more));
    const Seen changed = see(*nft, family);
    CHECK_FALSE(changed.checksum == first.checksum);
    restore(nat, kube_sync(family, false, "[9:900]" + more.substr(7)));
    CHECK(see(*nft, family).checksum == changed.checksum);
    restore(nat, kube_sync(family, false,
                           more.substr(0, 8) + "-A KUBE-NODEPORTS -p tcp -j KUBE-SERVICES\n"));
    CHECK_FALSE(see(*nft, family).checksum == changed.checksum);
    restore(nat, kube_sync(family, false));
    CHECK(see(*nft, family).checksum == first.checksum);
  }
}

}  // namespace
}  // namespace nmanager::test
