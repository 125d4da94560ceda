// Goals with more addresses than are prepared in one turn.
#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <vector>

#include "hooks/chains/chain_table.h"
#include "hooks/chains/external_rules.h"
#include "test/support/net_namespace.h"
#include "test/support/tables.h"
#include "test/unit/iptables/variants.h"

namespace nmanager::test {
using namespace nmanager::chains;
namespace {

constexpr int kBlocks = 20;
constexpr int kOfBlock = 250;  // 5,000 addresses

std::string external(int block, int number) {
  return "198.18." + std::to_string(block) + '.' + std::to_string(number);
}

ExternalCluster many(const char* pods, const char* cluster = "10.96.0.1") {
  std::vector<ExternalAddress> all;
  for (int block = 0; block < kBlocks; ++block) {
    for (int number = 0; number < kOfBlock; ++number) {
      all.push_back({address(external(block, number)),
                     address(cluster),
                     "ns/s" + std::to_string(block * kOfBlock + number),
                     {{Protocol::kTcp, 80}},
                     {}});
    }
  }
  ExternalClusterSettings settings;
  settings.pod_cidr = prefix(pods);
  return external_cluster(Family::kIpv4, std::move(all), settings);
}

std::vector<Goal> goals_of(const ExternalCluster& wanted) {
  return {{kNat4, std::make_shared<const TableSpec>(TableSpec{{wanted}})}};
}

bool only_prepares(Backend& backend, const std::vector<Goal>& goals) {
  const SyncReport report = backend.sync(goals, {}).front();
  return report.left && !report.verified && !report.committed && !report.error;
}

SyncReport sync_all(Backend& backend, const std::vector<Goal>& goals) {
  SyncReport report = backend.sync(goals, {}).front();
  while (report.left) report = backend.sync(goals, {}).front();
  if (!report.verified) FAIL(report.error->message);
  return report;
}

bool in_place(const Variant& variant, const ExternalCluster& wanted) {
  const auto backend = variant.make();
  return make_plan(kNat4, external_cluster_chains(wanted), look(*backend, kNat4)).empty();
}

void stays_until_prepared(const Variant& variant) {
  const NetNamespace sandbox;
  if (!sandbox.usable()) return;
  variant.tool.restore(kNat4, ":NMANAGER_EARLIER - [0:0]\n-A PREROUTING -j NMANAGER_EARLIER\n");
  const std::string before = variant.tool.save(kNat4);
  const ExternalCluster wanted = many("10.244.0.0/16");
  const auto goals = goals_of(wanted);

  // A plan is made at once, as a whole.
  const std::string plan = variant.make()->plan_text(goals).text;
  for (const int block : {0, kBlocks - 1}) {
    CHECK(plan.find("-d " + external(block, 0) + "/32 ") != std::string::npos);
    CHECK(plan.find("-d " + external(block, kOfBlock - 1) + "/32 ") != std::string::npos);
  }

  const auto backend = variant.make();
  CHECK(only_prepares(*backend, goals));
  CHECK(variant.tool.save(kNat4) == before);
  const SyncReport report = sync_all(*backend, goals);
  CHECK(report.rules == rule_count(external_cluster_chains(wanted)));
  CHECK(in_place(variant, wanted));
  CHECK(variant.tool.save(kNat4).find("EARLIER") == std::string::npos);

  // So do rules that stand, for other settings.
  const auto others = goals_of(many("10.0.0.0/8"));
  CHECK(only_prepares(*backend, others));
  CHECK(in_place(variant, wanted));
  sync_all(*backend, others);
  CHECK_FALSE(in_place(variant, wanted));

  // And where each commit costs what the table costs, for other addresses.
  const ExternalCluster moved = many("10.0.0.0/8", "10.96.0.2");
  const std::string standing = variant.tool.save(kNat4);
  (void)backend->sync(goals_of(moved), {});
  CHECK((variant.tool.save(kNat4) == standing) == backend->replaces_tables());
  sync_all(*backend, goals_of(moved));
  CHECK(in_place(variant, moved));
}

TEST_CASE("the table stays as it is until what shall stand in it is prepared") {
  for (const Variant& variant : variants()) stays_until_prepared(variant);
}

}  // namespace
}  // namespace nmanager::test
