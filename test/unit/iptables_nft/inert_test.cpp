// Tables with the right rules that have no effect, tables that were just flushed, and kube-proxy's
// chains that exist, are empty, or are gone.
#include <doctest/doctest.h>

#include <set>
#include <string>

#include "hooks/chains/sync.h"
#include "hooks/netlink/kube_chains.h"
#include "test/unit/iptables_nft/sandbox.h"

namespace nmanager::test {
using namespace nmanager::chains;
using namespace nmanager::iptables_nft;
using namespace nmanager::netlink;
namespace {

std::string nft_name(TableId id) {
  return (id.family == Family::kIpv4 ? "ip " : "ip6 ") + std::string(to_string(id.table));
}

std::string error_of(ChainBackend& backend, TableId id) {
  const SyncReport report = sync_table(backend, id, desired(id), {}, {});
  CHECK(report.verified != report.error.has_value());
  return report.error ? report.error->message : "";
}

}  // namespace

TEST_CASE("a dormant table, and a chain without a hook or with another one, are not in place") {
  for (const TableId id : kTables) {
    CAPTURE(to_string(id));
    const Sandbox sandbox;
    if (!sandbox.usable()) return;
    const NftBackend made = backend();
    auto* const nft = made.backend.get();
    REQUIRE(error_of(*nft, id) == "");
    must("nft 'add table " + nft_name(id) + " { flags dormant; }'");
    CHECK(error_of(*nft, id).find("dormant") != std::string::npos);
    must("nft add table " + nft_name(id));
    CHECK(error_of(*nft, id) == "");

    const std::string hook(to_string(desired(id).jumps.front()));
    const std::string chain = nft_name(id) + " " + hook;
    must("nft flush chain " + chain + "; nft delete chain " + chain + "; nft add chain " + chain);
    CHECK(error_of(*nft, id).find("chain " + hook + " is not attached") != std::string::npos);
    // Without desired rules no hook is needed.
    CHECK(sync_table(*nft, id, DesiredTable{}, {}, {}).verified);
    must("nft delete chain " + chain);
    CHECK(error_of(*nft, id) == "");
    must("nft flush chain " + chain + "; nft delete chain " + chain + "; nft 'add chain " + chain +
         " { type filter hook postrouting priority 5; }'");
    CHECK(error_of(*nft, id).find("is not attached") != std::string::npos);
  }
}

TEST_CASE("a wholly flushed table is left alone if requested, a partly flushed one is not") {
  for (const TableId id : kTables) {
    CAPTURE(to_string(id));
    const Sandbox sandbox;
    if (!sandbox.usable()) return;
    const NftBackend made = backend();
    auto* const nft = made.backend.get();
    SyncOptions spare;
    spare.spare_flushed = {id};
    const ChainDigests digests = digests_of(desired(id));
    for (const ChainDigests* expected : {static_cast<const ChainDigests*>(nullptr), &digests}) {
      REQUIRE(sync_table(*nft, id, desired(id), {}, spare, expected).verified);
      must(iptables(id) + " -F");
      const SyncReport spared = sync_table(*nft, id, desired(id), {}, spare, expected);
      CHECK(spared.flushed);
      CHECK_FALSE(spared.verified);
      CHECK_FALSE(spared.committed);
      CHECK_FALSE(spared.error);
      must(iptables(id) + " -X");
      CHECK(sync_table(*nft, id, desired(id), {}, spare, expected).verified);
      must(iptables(id) + " -F");
      CHECK(sync_table(*nft, id, desired(id), {}, {}, expected).verified);
      const std::string own = hook_chain(id.table, desired(id).jumps.front())->str();
      must(iptables(id) + " -F " + own);
      CHECK(sync_table(*nft, id, desired(id), {}, spare, expected).verified);
      // Every chain but NMANAGER_CONTENT, which is not shown when only differences are.
      for (const Hook hook : desired(id).jumps) {
        must(iptables(id) + " -F " + std::string(to_string(hook)));
        must(iptables(id) + " -F " + hook_chain(id.table, hook)->str());
      }
      CHECK(sync_table(*nft, id, desired(id), {}, spare, expected).verified);
    }
  }
}

TEST_CASE("KUBE-MARK-MASQ gone, empty or filled, and KUBE-SERVICES gone: different stamps") {
  for (const Family family : kFamilies) {
    const Sandbox sandbox;
    if (!sandbox.usable()) return;
    const TableId nat{family, Table::kNat};
    const NftBackend made = backend();
    auto* const nft = made.backend.get();
    std::set<KubeStamp> stamps;
    const auto stamp = [&] { return *nft->kube_stamp(family); };
    must(iptables(nat) + " -N KUBE-MARK-MASQ");
    CHECK(stamp() == 0);
    must(iptables(nat) + " -N KUBE-SERVICES");
    stamps.insert(stamp());
    must(iptables(nat) + " -A KUBE-MARK-MASQ -j MARK --or-mark 0x4000");
    stamps.insert(stamp());
    must(iptables(nat) + " -F");
    CHECK(stamps.contains(stamp()));
    must(iptables(nat) + " -X KUBE-MARK-MASQ");
    stamps.insert(stamp());
    CHECK(stamps.size() == 3);
    CHECK_FALSE(stamps.contains(0));
    must(iptables(nat) + " -X KUBE-SERVICES");
    CHECK(stamp() == 0);
  }
}

TEST_CASE("KUBE-SERVICES without a rule is empty") {
  const Sandbox sandbox;
  if (!sandbox.usable()) return;
  const TableId nat{Family::kIpv4, Table::kNat};
  const auto [nft, watch] = backend();
  must(iptables(nat) + " -N KUBE-SERVICES");
  CHECK(nft->kube_checksum(Family::kIpv4)->empty);
  must(iptables(nat) + " -A KUBE-SERVICES -j RETURN");
  CHECK_FALSE(nft->kube_checksum(Family::kIpv4)->empty);
}

}  // namespace nmanager::test
