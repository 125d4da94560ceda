// Chains renamed by an administrator, and kube-router next to us.
#include <doctest/doctest.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "hooks/chains/sync.h"
#include "test/support/net_namespace.h"
#include "test/unit/iptables/variants.h"

namespace nmanager::test {
using namespace nmanager::chains;
namespace {

DesiredTable wanted(TableId id) {
  DesiredTable table;
  table.chains[ChainName("NMANAGER_CONTENT")] = {jump_to("NMANAGER_LAST")};
  table.chains[ChainName("NMANAGER_LAST")] = {};
  for (const Hook hook : hooks_of(id.table)) {
    table.jumps.push_back(hook);
    table.chains[*hook_chain(id.table, hook)] = {jump_to("NMANAGER_CONTENT")};
  }
  return table;
}

/// kube-router's sync of its jump: unless it is rule 1 of filter INPUT, it is inserted there and
/// the old one deleted by its number (pkg/controllers/netpol, ensureTopLevelChains). True: it
/// was inserted.
bool kube_router_syncs(const std::string& tool) {
  const std::string number =
      "n=$(" + tool + " -S INPUT | grep '^-A' | grep -n -- '-j KUBE-ROUTER-INPUT' | cut -d: -f1)\n";
  return must(number + "if [ \"$n\" = 1 ]; then exit 0; fi\n" + tool +
              " -I INPUT 1 -m comment --comment 'kube-router netpol' -j KUBE-ROUTER-INPUT\n"
              "[ -z \"$n\" ] || " +
              tool + " -D INPUT $((n + 1))\necho repaired") == "repaired\n";
}

/// `cold`: the repairing backend is created after the renaming.
void rename_a_chain(const Variant& variant, TableId id, const std::string& old, bool cold) {
  const NetNamespace sandbox;
  if (!sandbox.usable()) return;
  const DesiredTable desired = wanted(id);
  const ChainDigests digests = digests_of(desired);
  auto backend = variant.make();
  REQUIRE(sync_table(*backend, id, desired, {}, {}, &digests).verified);
  const std::string before = variant.tool.save(id, false);
  for (const std::string name : {"NMANAGER_RENAMED", "X"}) {
    must(variant.tool.command(id) + " -E " + old + " " + name);
    // iptables-nft: events about a name unlike ours are filtered out; the sweep finds the chain
    // (iptables_nft/watch_test).
    if (!cold && name == "X" && backend->name() == "iptables-nft") continue;
    if (cold) backend = variant.make();
    const SyncReport report = sync_table(*backend, id, desired, {}, {}, &digests);
    if (!report.verified) FAIL(report.error->message);
    if (name == "NMANAGER_RENAMED") CHECK(variant.tool.save(id, false) == before);
    CHECK_FALSE(sync_table(*backend, id, desired, {}, {}, &digests).committed);
  }
}

void share_input_with_kube_router(const Variant& variant, TableId id, bool router_first) {
  const NetNamespace sandbox;
  if (!sandbox.usable()) return;
  const std::string tool = variant.tool.command(id);
  must(tool + " -N KUBE-ROUTER-INPUT");
  must(tool + " -N KUBE-FIREWALL");
  must(tool + " -A INPUT -j KUBE-FIREWALL");
  const auto backend = variant.make();
  if (router_first) CHECK(kube_router_syncs(tool));
  REQUIRE(sync_table(*backend, id, wanted(id), {}, {}).committed);
  CHECK(kube_router_syncs(tool));
  for (int i = 0; i < 5; ++i) {
    CHECK_FALSE(sync_table(*backend, id, wanted(id), {}, {}).committed);
    CHECK_FALSE(kube_router_syncs(tool));
  }
  // kube-proxy's own jump on top of ours: ours moves above it.
  must(tool + " -I INPUT 1 -j KUBE-FIREWALL");
  CHECK(sync_table(*backend, id, wanted(id), {}, {}).committed);
  kube_router_syncs(tool);
  CHECK_FALSE(sync_table(*backend, id, wanted(id), {}, {}).committed);
}

}  // namespace

TEST_CASE("one of our chains is renamed: one jump again, and no leftover") {
  for (const Variant& variant : variants()) {
    for (const TableId id : kTables) {
      const std::string hook = hook_chain(id.table, hooks_of(id.table).front())->str();
      for (const std::string& old :
           {std::string("NMANAGER_CONTENT"), std::string("NMANAGER_LAST"), hook}) {
        for (const bool cold : {false, true}) {
          INFO(variant.tool.command(id) << " -E " << old << (cold ? ", cold" : ", warm"));
          rename_a_chain(variant, id, old, cold);
        }
      }
    }
  }
}

TEST_CASE(
    "kube-router, whose jump must be the first one, and nmanager do not move each other's jump") {
  for (const Variant& variant : variants()) {
    for (const Family family : kFamilies) {
      const TableId id{family, Table::kFilter};
      for (const bool router_first : {false, true}) {
        INFO(variant.tool.command(id)
             << (router_first ? ", kube-router first" : ", nmanager first"));
        share_input_with_kube_router(variant, id, router_first);
      }
    }
  }
}

TEST_CASE("whether kube-proxy's rule for INVALID packets exists in KUBE-FORWARD is detected") {
  struct Case {
    const char* rules;  // of KUBE-FORWARD
    std::optional<bool> drops;
  };
  const Case cases[] = {
      {nullptr, std::nullopt},
      {"", false},
      {"-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", false},
      {"-m conntrack ! --ctstate INVALID -j DROP", false},
      {"-m conntrack --ctstate INVALID -j ACCEPT", false},
      {"-m conntrack --ctstate INVALID -j DROP", true},
      {"-m conntrack --ctstate INVALID -m comment --comment counted -j DROP", true},
  };
  for (const Variant& variant : variants()) {
    for (const Family family : kFamilies) {
      const TableId id{family, Table::kFilter};
      const std::string tool = variant.tool.command(id);
      for (const Case& c : cases) {
        const NetNamespace sandbox;
        if (!sandbox.usable()) return;
        INFO(tool << ": " << (c.rules == nullptr ? "no chain" : c.rules));
        must(tool + " -N OTHER");
        if (c.rules != nullptr) must(tool + " -N KUBE-FORWARD");
        if (c.rules != nullptr && *c.rules != 0) must(tool + " -A KUBE-FORWARD " + c.rules);
        const auto backend = variant.make();
        for (int look = 0; look < 2; ++look) {
          const SyncReport report = sync_table(*backend, id, wanted(id), {}, {});
          if (!report.verified) FAIL(report.error->message);
          CHECK(report.kube_drops_invalid == c.drops);
        }
      }
    }
  }
}

}  // namespace nmanager::test
