// The stamp and the checksum of kube-proxy's chains.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "test/unit/iptables_legacy/sandbox.h"

namespace nmanager::test {
using namespace nmanager::chains;
using namespace nmanager::iptables_legacy;
namespace {

constexpr TableId nat(Family family) {
  return {family, Table::kNat};
}

struct Addresses {
  std::string first, second;
};

Addresses addresses(Family family) {
  return family == Family::kIpv4 ? Addresses{"10.96.0.1/32", "10.96.0.10/32"}
                                 : Addresses{"fd00::1/128", "fd00::10/128"};
}

std::vector<std::string> rules(Family family) {
  const auto [first, second] = addresses(family);
  return {
      "-A PREROUTING -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES",
      "-A KUBE-SERVICES -d " + first + " -p tcp -m tcp --dport 443 -j KUBE-SVC-A",
      "-A KUBE-SERVICES -d " + second + " -p udp -m udp --dport 53 -j KUBE-SVC-B",
      "-A KUBE-SVC-A -m statistic --mode random --probability 0.5 -j KUBE-SEP-A",
      "-A KUBE-SVC-A -p tcp -m recent --name x --set",  // no -j: the kernel stores an offset there
      "-A KUBE-SVC-B -j MARK --set-xmark 0x4000/0x4000",
  };
}

std::string table(const std::vector<std::string>& lines) {
  std::string text =
      ":KUBE-SERVICES - [0:0]\n:KUBE-SVC-A - [0:0]\n:KUBE-SVC-B - [0:0]\n:KUBE-SEP-A - [0:0]\n";
  for (const std::string& line : lines) text += line + '\n';
  return text;
}

void replace(TableId id, const std::string& text) {
  must(iptables(id) + " -F; " + iptables(id) + " -X");
  restore(id, text);
}

KubeChecksum sum_of(ChainBackend& backend, Family family) {
  const auto sum = backend.kube_checksum(family);
  if (!sum) FAIL(sum.error().message);
  return *sum;
}

KubeStamp stamp_of(ChainBackend& backend, Family family) {
  const auto stamp = backend.kube_stamp(family);
  if (!stamp) FAIL(stamp.error().message);
  return *stamp;
}

}  // namespace

TEST_CASE("the checksum depends on the rules, not on order, counters or other chains") {
  const Sandbox sandbox;
  if (!sandbox.usable()) return;
  const auto backend = make_legacy_backend(sandbox.options());
  for (const Family family : kFamilies) {
    const TableId id = nat(family);
    const auto lines = rules(family);
    replace(id, table(lines));
    const KubeChecksum base = sum_of(*backend, family);
    CHECK(base.present);
    CHECK(sum_of(*backend, family) == base);

    auto turned = lines;
    std::swap(turned[1], turned[2]);
    replace(id, table(turned));
    CHECK(sum_of(*backend, family) == base);

    auto counted = lines;
    for (std::string& line : counted) line.insert(0, "[5:300] ");
    replace(id, ":KUBE-SERVICES - [9:9]\n" + table(counted));
    CHECK(sum_of(*backend, family) == base);

    // Other chains and our own change the offset of every jump's target, and from which hooks the
    // kernel found a rule (comefrom).
    restore(id,
            ":AAA - [0:0]\n:ZZZ - [0:0]\n:NMANAGER_X - [0:0]\n-A PREROUTING -j NMANAGER_X\n"
            "-A OUTPUT -j AAA\n-A AAA -j KUBE-SERVICES\n-A NMANAGER_X -j RETURN\n");
    CHECK(sum_of(*backend, family) == base);
  }
}

TEST_CASE("any change of a KUBE chain changes the checksum") {
  const Sandbox sandbox;
  if (!sandbox.usable()) return;
  const auto backend = make_legacy_backend(sandbox.options());
  for (const Family family : kFamilies) {
    const TableId id = nat(family);
    replace(id, table(rules(family)));
    const KubeChecksum base = sum_of(*backend, family);
    const std::string first = addresses(family).first;
    const std::vector<std::string> changes = {
        "-N KUBE-SEP-NEW",
        "-D KUBE-SVC-B 1",
        "-A KUBE-SERVICES -j RETURN",
        "-R KUBE-SERVICES 1 -d " + first + " -p tcp -m tcp --dport 444 -j KUBE-SVC-A",
        "-R KUBE-SERVICES 1 -d " + first + " -p tcp -m tcp --dport 443 -j KUBE-SVC-B",
        "-R KUBE-SERVICES 1 -d " + first + " -p tcp -m tcp --dport 443 -g KUBE-SVC-A",
        "-R KUBE-SVC-A 1 -m statistic --mode random --probability 0.25 -j KUBE-SEP-A",
        "-R KUBE-SVC-B 1 -j MARK --set-xmark 0x8000/0x8000",
        "-E KUBE-SVC-B KUBE-SVC-C",
        "-F KUBE-SERVICES",
    };
    for (const std::string& change : changes) {
      CAPTURE(change);
      replace(id, table(rules(family)));
      must(iptables(id) + ' ' + change);
      const KubeChecksum after = sum_of(*backend, family);
      CHECK(after.sum != base.sum);
      CHECK(after.present);
    }
  }
}

TEST_CASE("without KUBE-SERVICES nothing is present") {
  const Sandbox sandbox;
  if (!sandbox.usable()) return;
  const auto backend = make_legacy_backend(sandbox.options());
  restore(nat(Family::kIpv4), ":NMANAGER_X - [0:0]\n-A NMANAGER_X -j RETURN\n");
  CHECK(sum_of(*backend, Family::kIpv4) == KubeChecksum{});
  restore(nat(Family::kIpv4), ":KUBE-MARK-MASQ - [0:0]\n");
  CHECK(!sum_of(*backend, Family::kIpv4).present);
  CHECK(sum_of(*backend, Family::kIpv4).sum != 0);
}

TEST_CASE("the stamp changes with each command of another process, and only then") {
  const Sandbox sandbox;
  if (!sandbox.usable()) return;
  const auto backend = make_legacy_backend(sandbox.options());
  for (const Family family : kFamilies) {
    const TableId id = nat(family);
    replace(id, table(rules(family)));
    KubeStamp stamp = stamp_of(*backend, family);
    CHECK(stamp != 0);
    CHECK(stamp_of(*backend, family) == stamp);

    look(*backend, id);
    (void)sum_of(*backend, family);
    CHECK(stamp_of(*backend, family) == stamp);

    // kube-proxy's sync rewrites the same rules: only the lock shows it.
    restore(id, ":KUBE-SVC-B - [0:0]\n-A KUBE-SVC-B -j MARK --set-xmark 0x4000/0x4000\n");
    CHECK(stamp_of(*backend, family) != stamp);
    stamp = stamp_of(*backend, family);
    CHECK(stamp_of(*backend, family) == stamp);

    must(lockless(iptables(id) + " -N KUBE-SVC-X"));
    CHECK(stamp_of(*backend, family) != stamp);
  }
}

TEST_CASE("the stamp is 0 once a read has found no KUBE chain") {
  const Sandbox sandbox;
  if (!sandbox.usable()) return;
  const auto backend = make_legacy_backend(sandbox.options());
  must(iptables(nat(Family::kIpv4)) + " -S");
  CHECK(!sum_of(*backend, Family::kIpv4).present);
  CHECK(stamp_of(*backend, Family::kIpv4) == 0);
  must(iptables(nat(Family::kIpv4)) + " -N KUBE-SERVICES");
  CHECK(stamp_of(*backend, Family::kIpv4) != 0);
}

}  // namespace nmanager::test
