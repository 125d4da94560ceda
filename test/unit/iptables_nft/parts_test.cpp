// A fill that is too large for one commit: what the kernel has after each of its commits.
#include <doctest/doctest.h>

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "hooks/chains/chain_table.h"
#include "hooks/chains/external_chains.h"
#include "hooks/chains/prefix_tree.h"
#include "hooks/chains/sync.h"
#include "hooks/chains/wish.h"
#include "test/unit/iptables_nft/sandbox.h"

namespace nmanager::test {
using namespace nmanager::chains;
namespace {

constexpr TableId kNat[] = {{Family::kIpv4, Table::kNat}, {Family::kIpv6, Table::kNat}};
constexpr std::size_t kRulesAtOnce = 200;

/// The real backend, with small commits, each of which the test sees.
class InParts final : public ChainBackend {
 public:
  InParts(ChainBackend& real, std::function<void(const TablePlan&)> after)
      : real_(real), after_(std::move(after)) {}

  [[nodiscard]] std::string_view name() const override { return real_.name(); }
  [[nodiscard]] std::size_t rules_at_once() const override { return kRulesAtOnce; }
  [[nodiscard]] Result<std::unique_ptr<Transaction>> begin(TableId id) override {
    return watched(real_.begin(id));
  }
  [[nodiscard]] Result<std::unique_ptr<Transaction>> begin_expecting(
      TableId id, const ChainDigests& expected) override {
    return watched(real_.begin_expecting(id, expected));
  }
  [[nodiscard]] Result<KubeStamp> kube_stamp(Family family) override {
    return real_.kube_stamp(family);
  }
  [[nodiscard]] Result<KubeChecksum> kube_checksum(Family family) override {
    return real_.kube_checksum(family);
  }

 private:
  struct Watched final : Transaction {
    Watched(std::unique_ptr<Transaction> all, InParts& of) : real(std::move(all)), owner(of) {}
    [[nodiscard]] const ObservedTable& observed() const override { return real->observed(); }
    [[nodiscard]] Result<Commit> commit(const TablePlan& plan) override {
      auto done = real->commit(plan);
      if (done) owner.after_(plan);
      return done;
    }
    std::unique_ptr<Transaction> real;
    InParts& owner;
  };

  Result<std::unique_ptr<Transaction>> watched(Result<std::unique_ptr<Transaction>> begun) {
    if (!begun) return begun.error();
    return std::unique_ptr<Transaction>(std::make_unique<Watched>(std::move(*begun), *this));
  }

  ChainBackend& real_;
  std::function<void(const TablePlan&)> after_;
};

/// Services whose addresses are far apart and close together; many chains of IPv6 have a hash as
/// their name.
ExternalCluster services(Family family, std::size_t count) {
  std::vector<ExternalAddress> all;
  for (std::size_t i = 0; i < count; ++i) {
    const std::string number = std::to_string(i % 200);
    const std::string block = std::to_string(i / 200);
    const bool v4 = family == Family::kIpv4;
    all.push_back(
        {address(v4 ? "198.18." + block + "." + number : "2001:db8::" + block + ":" + number),
         address(v4 ? "10.96." + block + "." + number : "fd96::" + block + ":" + number),
         "ns/s" + std::to_string(i),
         {{Protocol::kTcp, 80}, {Protocol::kUdp, 53}},
         {}});
  }
  ExternalClusterSettings settings;
  settings.pod_cidr = prefix(family == Family::kIpv4 ? "10.244.0.0/16" : "fd00:244::/56");
  return external_cluster(family, std::move(all), settings);
}

ExternalChains chains_of(const ExternalCluster& external, Family family) {
  ExternalChains chains(family);
  chains.update(external);
  return chains;
}

/// The rules that a packet can meet, in the table as iptables-save shows it.
std::multiset<std::string> reached_rules(TableId id) {
  std::map<std::string, std::vector<std::string>> chains;
  std::istringstream lines(save(id, false));
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("-A ")) continue;
    const auto end = line.find(' ', 3);
    chains[line.substr(3, end - 3)].push_back(line.substr(end + 1));
  }
  std::multiset<std::string> reached;
  std::vector<std::string> open;
  for (const Hook hook : hooks_of(id.table)) open.emplace_back(to_string(hook));
  while (!open.empty()) {
    const std::string chain = std::exchange(open.back(), {});
    open.pop_back();
    for (const std::string& rule : chains[chain]) {
      const auto target = rule.substr(rule.rfind(' ') + 1);
      const bool on = target.starts_with("NMANAGER_") && target != "NMANAGER_MARK_MASQ";
      if (on) open.push_back(target);
      if (!on) reached.insert(rule);
    }
  }
  return reached;
}

std::size_t inserts(const TablePlan& plan) {
  std::size_t count = 0;
  for (const ChainEdit& edit : plan.edits) count += edit.steps.size();
  return count;
}

bool all_stands(TableId id, const ExternalCluster& external) {
  const auto fresh = backend();
  return in_place(*fresh.backend, id, external_cluster_chains(external));
}

TEST_CASE("until the last commit no packet meets another rule than before") {
  for (const TableId id : kNat) {
    CAPTURE(to_string(id));
    for (const std::size_t before : {std::size_t{0}, std::size_t{7}, std::size_t{40}}) {
      CAPTURE(before);
      const Sandbox sandbox;
      if (!sandbox.usable()) return;
      const auto real = backend();
      const ExternalCluster few = services(id.family, before);
      const ExternalCluster many = services(id.family, 600);
      if (before > 0) apply(*real.backend, id, external_cluster_chains(few));
      const auto met_before = reached_rules(id);
      std::vector<std::multiset<std::string>> met;
      std::vector<std::size_t> sizes;
      InParts parts(*real.backend, [&](const TablePlan& plan) {
        met.push_back(reached_rules(id));
        sizes.push_back(inserts(plan));
      });
      const ExternalChains chains = chains_of(many, id.family);
      const SyncReport report =
          sync_table(parts, id, ExternalWish(chains), {}, {}, &chains.digests());
      REQUIRE(report.verified);
      CHECK(report.attempts == 1);
      CHECK(met.size() > 600 * 8 / (kRulesAtOnce + kLeafRules));
      for (std::size_t i = 0; i + 1 < met.size(); ++i) {
        CHECK(met[i] == met_before);
        CHECK(sizes[i] < kRulesAtOnce + kLeafRules);
      }
      CHECK(met.back().size() == 600 * 8);
      CHECK(all_stands(id, many));
      const std::size_t made =
          chains.digests().chains.size() - digests_of(external_cluster_chains(few)).chains.size();
      CHECK(report.findings.size() >= made);  // every missing chain is named
    }
  }
}

TEST_CASE("a fill that was interrupted goes on with what is there") {
  const TableId id = kNat[0];
  const Sandbox sandbox;
  if (!sandbox.usable()) return;
  const auto real = backend();
  const ExternalChains chains = chains_of(services(id.family, 600), id.family);
  struct Ended {};
  int commits = 0;
  InParts interrupted(*real.backend, [&](const TablePlan&) {
    if (++commits == 5) throw Ended{};
  });
  const ExternalWish wish(chains);
  CHECK_THROWS_AS((void)sync_table(interrupted, id, wish, {}, {}, &chains.digests()), Ended);
  const auto next = backend();
  std::size_t rules = 0;
  InParts rest(*next.backend, [&](const TablePlan& plan) { rules += inserts(plan); });
  REQUIRE(sync_table(rest, id, wish, {}, {}, &chains.digests()).verified);
  CHECK(rules <= chains.rules() - 5 * kRulesAtOnce);
  CHECK(all_stands(id, services(id.family, 600)));
}

TEST_CASE("an agent that deletes the chains as fast as they are made does not hold us for ever") {
  const TableId id = kNat[0];
  const Sandbox sandbox;
  if (!sandbox.usable()) return;
  const auto real = backend();
  const ExternalChains chains = chains_of(services(id.family, 600), id.family);
  InParts parts(*real.backend, [&](const TablePlan&) { must("nft delete table ip nat"); });
  const SyncReport report = sync_table(parts, id, ExternalWish(chains), {}, {}, &chains.digests());
  CHECK_FALSE(report.verified);
  REQUIRE(report.error);
  CHECK(report.error->kind == ErrorKind::kRetry);
  CHECK(report.attempts == SyncOptions{}.max_attempts);
}

}  // namespace
}  // namespace nmanager::test
