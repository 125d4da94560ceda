// Chains renamed by an administrator, and kube-router beside us.
#include <doctest/doctest.h>

#include <optional>
#include <string>

#include "hooks/chains/sync.h"
#include "test/unit/iptables_nft/sandbox.h"

namespace nmanager::test {
using namespace nmanager::chains;
using namespace nmanager::iptables_nft;
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

/// kube-router's sync of its jump: rule 1 of filter INPUT, or it is inserted there and the old one
/// deleted by its number (pkg/controllers/netpol, ensureTopLevelChains). True: it had to.
bool kube_router_syncs(TableId id) {
  const std::string tool = iptables(id);
  const std::string number =
      "n=$(" + tool + " -S INPUT | grep '^-A' | grep -n -- '-j KUBE-ROUTER-INPUT' | cut -d: -f1)\n";
  return must(number + "if [ \"$n\" = 1 ]; then exit 0; fi\n" + tool +
              " -I INPUT 1 -m comment --comment 'kube-router netpol' -j KUBE-ROUTER-INPUT\n"
              "[ -z \"$n\" ] || " +
              tool + " -D INPUT $((n + 1))\necho repaired") == "repaired\n";
}

}  // namespace

TEST_CASE("a renamed chain of ours: one jump again, and no leftover") {
  for (const TableId id : kTables) {
    for (const bool warm : {true, false}) {
      for (const std::string renamed : {"NMANAGER_CONTENT", "NMANAGER_LAST", "HOOK"}) {
        const Sandbox sandbox;
        if (!sandbox.usable()) return;
        const std::string old =
            renamed == "HOOK" ? hook_chain(id.table, hooks_of(id.table).front())->str() : renamed;
        CAPTURE(to_string(id));
        CAPTURE(old);
        CAPTURE(warm);
        const DesiredTable desired = wanted(id);
        const ChainDigests digests = digests_of(desired);
        auto made = std::move(backend().backend);
        REQUIRE(sync_table(*made, id, desired, {}, {}, &digests).verified);
        const std::string before = save(id, false);
        for (const std::string name : {"NMANAGER_RENAMED", "X"}) {
          // Of a name that is not like ours no event comes through: the sweep finds it
          // (watch_test).
          if (warm && name == "X") continue;
          must(iptables(id) + " -E " + old + " " + name);
          if (!warm) made = std::move(backend().backend);
          const SyncReport report = sync_table(*made, id, desired, {}, {}, &digests);
          if (!report.verified) FAIL(report.error->message);
          if (name == "NMANAGER_RENAMED") CHECK(save(id, false) == before);
          CHECK_FALSE(sync_table(*made, id, desired, {}, {}, &digests).committed);
        }
      }
    }
  }
}

TEST_CASE("beside kube-router, whose jump has to be the first one: neither moves the other") {
  for (const Family family : kFamilies) {
    const TableId id{family, Table::kFilter};
    for (const bool router_first : {false, true}) {
      const Sandbox sandbox;
      if (!sandbox.usable()) return;
      CAPTURE(router_first);
      must(iptables(id) + " -N KUBE-ROUTER-INPUT");
      must(iptables(id) + " -N KUBE-FIREWALL");
      must(iptables(id) + " -A INPUT -j KUBE-FIREWALL");
      const auto made = std::move(backend().backend);
      if (router_first) CHECK(kube_router_syncs(id));
      REQUIRE(sync_table(*made, id, wanted(id), {}, {}).committed);
      CHECK(kube_router_syncs(id));
      for (int i = 0; i < 5; ++i) {
        CHECK_FALSE(sync_table(*made, id, wanted(id), {}, {}).committed);
        CHECK_FALSE(kube_router_syncs(id));
      }
      // kube-proxy's own jump on top of ours is another matter.
      must(iptables(id) + " -I INPUT 1 -j KUBE-FIREWALL");
      CHECK(sync_table(*made, id, wanted(id), {}, {}).committed);
      kube_router_syncs(id);
      CHECK_FALSE(sync_table(*made, id, wanted(id), {}, {}).committed);
    }
  }
}

TEST_CASE("kube-proxy's rule for INVALID packets in KUBE-FORWARD is seen, and that it is missing") {
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
  for (const Family family : kFamilies) {
    const TableId id{family, Table::kFilter};
    for (const Case& c : cases) {
      const Sandbox sandbox;
      if (!sandbox.usable()) return;
      CAPTURE(to_string(id));
      CAPTURE(std::string(c.rules == nullptr ? "no chain" : c.rules));
      must(iptables(id) + " -N OTHER");
      if (c.rules != nullptr) must(iptables(id) + " -N KUBE-FORWARD");
      if (c.rules != nullptr && *c.rules != 0) {
        must(iptables(id) + " -A KUBE-FORWARD " + c.rules);
      }
      auto made = std::move(backend().backend);
      const DesiredTable desired = wanted(id);
      for (int look = 0; look < 2; ++look) {
        const SyncReport report = sync_table(*made, id, desired, {}, {});
        if (!report.verified) FAIL(report.error->message);
        CHECK(report.kube_drops_invalid == c.drops);
      }
    }
  }
}

}  // namespace nmanager::test
