#include "test/unit/nftables/sandbox.h"

#include <doctest/doctest.h>

#include <sstream>

#include "test/support/nft_listing.h"

namespace nmanager::test {
using namespace nmanager::nftables;

NftablesBackend native_backend(NftablesOptions options) {
  auto made = make_nftables_backend(options);
  if (!made) FAIL(made.error().message);
  return std::move(made.value());
}

ExternalAddress external(const std::string& external, const std::string& cluster,
                         const std::string& owner) {
  return {*Address::parse(external),
          *Address::parse(cluster),
          owner,
          {{Protocol::kTcp, 80}, {Protocol::kUdp, 53}},
          {}};
}

std::vector<Goal> goals(const Wishes& wishes) {
  std::vector<Goal> result;
  for (const TableId id : kTables) {
    TableSpec spec;
    const Prefix pods = *Prefix::parse(id.family == Family::kIpv4 ? "10.244.0.0/16" : "fd44::/48");
    if (id.table == Table::kFilter && wishes.drop) {
      spec.families.emplace_back(drop_invalid_input(wishes.action, wishes.exemptions));
      spec.families.emplace_back(drop_invalid_forward(wishes.action, pods, wishes.exemptions));
    }
    if (id.table == Table::kNat && wishes.external) {
      ExternalClusterSettings settings = wishes.settings;
      if (!settings.pod_cidr) settings.pod_cidr = pods;
      spec = external_cluster(id.family, wishes.addresses, settings);
    }
    result.push_back({id, std::make_shared<const TableSpec>(std::move(spec))});
  }
  return result;
}

Outcome sync(Backend& backend, const std::vector<Goal>& goals) {
  Outcome outcome;
  for (bool left = true; left;) {
    left = false;
    for (const SyncReport& report :
         backend.sync(goals, {.max_attempts = 10, .keep_plan_text = true})) {
      CAPTURE(report.plan_text);
      if (report.error) FAIL(report.error->message);
      left = left || report.left;
      outcome.committed = outcome.committed || report.committed;
      outcome.findings.insert(outcome.findings.end(), report.findings.begin(),
                              report.findings.end());
    }
  }
  return outcome;
}

std::string listed() {
  return normal_listing(run("nft list table inet nmanager").output);
}

std::string content() {
  return listing_by_line(run("nft list table inet nmanager").output);
}

}  // namespace nmanager::test
