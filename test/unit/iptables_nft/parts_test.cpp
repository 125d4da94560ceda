// A fill that is too large for one commit: what the kernel has after each of its commits.
#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <iterator>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <variant>
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
  [[nodiscard]] std::size_t most_rules() const override { return kRulesAtOnce; }
  [[nodiscard]] Result<std::unique_ptr<Transaction>> begin(TableId id) override {
    return watched(real_.begin(id));
  }
  [[nodiscard]] Result<std::unique_ptr<Transaction>> begin_expecting(
      TableId id, const ChainDigests& expected, const ChoosePart& part) override {
    return watched(real_.begin_expecting(id, expected, part));
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
ExternalCluster services(Family family, std::size_t count, bool elsewhere = false) {
  std::vector<ExternalAddress> all;
  for (std::size_t i = 0; i < count; ++i) {
    const std::string number = std::to_string(i % 200);
    const std::string block = std::to_string(i / 200);
    const bool v4 = family == Family::kIpv4;
    all.push_back(
        {address(v4 ? "198.18." + block + "." + number : "2001:db8::" + block + ":" + number),
         address((v4 ? (elsewhere ? "10.97." : "10.96.") + block + "."
                     : (elsewhere ? "fd97::" : "fd96::") + block + ":") +
                 number),
         "ns/s" + std::to_string(i),
         {{Protocol::kTcp, 80}, {Protocol::kUdp, 53}},
         {}});
  }
  ExternalClusterSettings settings;
  settings.pod_cidr = prefix(family == Family::kIpv4 ? "10.244.0.0/16" : "fd00:244::/56");
  return external_cluster(family, std::move(all), settings);
}

/// Until no part is left, as the reconciler does it; the findings are those of all parts. `told`
/// sees the report of each.
using Told = std::function<void(const SyncReport&)>;
SyncReport sync_parts(
    ChainBackend& backend, TableId id, const Wish& wish, const ChainDigests& digests,
    const Told& told = [](const SyncReport&) {}) {
  std::vector<Finding> findings;
  bool untold = false;
  for (std::size_t before = std::numeric_limits<std::size_t>::max(); true;) {
    SyncReport report = sync_table(backend, id, wish, {}, {}, &digests, untold);
    told(report);
    std::ranges::move(report.findings, std::back_inserter(findings));
    if (report.left) {
      REQUIRE(*report.left < before);
      before = *report.left;
      continue;
    }
    report.findings = std::move(findings);
    return report;
  }
}

SyncReport sync_parts(ChainBackend& backend, TableId id, const ExternalChains& chains) {
  return sync_parts(backend, id, ExternalWish(chains), chains.digests());
}

ExternalChains chains_of(const ExternalCluster& external, Family family) {
  ExternalChains chains(family);
  chains.update(external);
  return chains;
}

using Saved = std::map<std::string, std::vector<std::string>>;  // rules by chain

Saved saved(TableId id) {
  Saved chains;
  std::istringstream lines(save(id, false));
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("-A ")) continue;
    const auto end = line.find(' ', 3);
    chains[line.substr(3, end - 3)].push_back(line.substr(end + 1));
  }
  return chains;
}

/// The rules that a packet of the hook can meet, in the table as iptables-save shows it.
void add_reached(Saved& chains, Hook hook, std::vector<std::string>& reached) {
  std::vector<std::string> open{std::string(to_string(hook))};
  while (!open.empty()) {
    const std::string chain = std::exchange(open.back(), {});
    open.pop_back();
    for (const std::string& rule : chains[chain]) {
      const auto target = rule.substr(rule.rfind(' ') + 1);
      const bool on = target.starts_with("NMANAGER_") && target != "NMANAGER_MARK_MASQ";
      if (on) open.push_back(target);
      if (!on) reached.push_back(rule);
    }
  }
}

std::size_t inserts(const TablePlan& plan) {
  std::size_t count = 0;
  for (const ChainEdit& edit : plan.edits) {
    count += static_cast<std::size_t>(std::ranges::count_if(
        edit.steps, [](const EditStep& step) { return std::holds_alternative<Insert>(step); }));
  }
  return count;
}

std::vector<std::string> reached_rules(TableId id) {
  Saved chains = saved(id);
  std::vector<std::string> reached;
  for (const Hook hook : hooks_of(id.table)) add_reached(chains, hook, reached);
  return reached;
}

/// By hook and destination; sorted.
using Reached = std::map<std::pair<Hook, std::string>, std::vector<std::string>>;

Reached by_destination(TableId id) {
  Reached result;
  Saved chains = saved(id);
  for (const Hook hook : hooks_of(id.table)) {
    std::vector<std::string> reached;
    add_reached(chains, hook, reached);
    std::ranges::sort(reached);
    for (std::string& rule : reached) {
      const auto begin = rule.find("-d ");
      const auto end = begin == std::string::npos ? begin : rule.find(' ', begin + 3);
      result[{hook, rule.substr(std::min(begin, rule.size()), end - begin)}].push_back(
          std::move(rule));
    }
  }
  return result;
}

/// Every address has what it had at first or what it has at last, at each moment.
bool old_or_new(const std::vector<Reached>& moments) {
  static const std::vector<std::string> kNone;
  const auto at = [](const Reached& moment,
                     const Reached::key_type& where) -> const std::vector<std::string>& {
    const auto found = moment.find(where);
    return found == moment.end() ? kNone : found->second;
  };
  std::set<Reached::key_type> all;
  for (const Reached& moment : moments) {
    for (const auto& one : moment) all.insert(one.first);
  }
  return std::ranges::all_of(moments, [&](const Reached& moment) {
    return std::ranges::all_of(all, [&](const auto& where) {
      const std::vector<std::string>& now = at(moment, where);
      return now == at(moments.front(), where) || now == at(moments.back(), where);
    });
  });
}

bool all_stands(TableId id, const ExternalCluster& external) {
  const auto fresh = backend();
  return in_place(*fresh.backend, id, external_cluster_chains(external));
}

TEST_CASE("in each part of a large change every address has its old or its new rules") {
  struct Change {
    std::size_t before;
    std::size_t after;
    const char* cluster;  // "": the same addresses; else they are translated to others
  };
  const Change changes[] = {
      {0, 240, ""}, {7, 240, ""}, {40, 240, ""}, {240, 40, ""}, {240, 240, "x"}};
  for (const TableId id : kNat) {
    CAPTURE(to_string(id));
    for (const Change& change : changes) {
      CAPTURE(change.before);
      CAPTURE(change.after);
      const Sandbox sandbox;
      if (!sandbox.usable()) return;
      const auto real = backend();
      const ExternalCluster first = services(id.family, change.before);
      const ExternalCluster last = services(id.family, change.after, *change.cluster != 0);
      if (change.before > 0) apply(*real.backend, id, external_cluster_chains(first));
      std::vector<Reached> met{by_destination(id)};
      std::vector<std::size_t> sizes;
      InParts parts(*real.backend, [&](const TablePlan& plan) {
        met.push_back(by_destination(id));
        sizes.push_back(inserts(plan));
      });
      const ExternalChains chains = chains_of(last, id.family);
      const SyncReport report = sync_parts(parts, id, chains);
      REQUIRE(report.verified);
      CHECK(report.attempts == 1);
      if (change.after > change.before) CHECK(met.size() > 240 * 8 / (kRulesAtOnce + kLeafRules));
      CHECK(old_or_new(met));
      for (std::size_t i = 0; i + 1 < sizes.size(); ++i) {
        CHECK(sizes[i] < kRulesAtOnce + kLeafRules);
      }
      CHECK(reached_rules(id).size() == change.after * 8);
      CHECK(all_stands(id, last));
      const auto old = digests_of(external_cluster_chains(first)).chains;
      for (const auto& [name, digest] : chains.digests().chains) {
        const auto stood = old.find(name);
        if (stood != old.end() && stood->second == digest) continue;
        CHECK(std::ranges::find(report.findings, name.str(), &Finding::where) !=
              report.findings.end());
      }
    }
  }
}

TEST_CASE("a flushed table is filled in parts, the first of which has the jumps") {
  const TableId id = kNat[0];
  const Sandbox sandbox;
  if (!sandbox.usable()) return;
  const auto real = backend();
  const ExternalCluster all = services(id.family, 600);
  const ExternalChains chains = chains_of(all, id.family);
  REQUIRE(sync_parts(*real.backend, id, chains).verified);
  must("nft flush table ip nat");
  SyncOptions spare;
  spare.spare_flushed.insert(id);
  std::vector<std::size_t> jumps;
  InParts parts(*real.backend, [&](const TablePlan& plan) { jumps.push_back(plan.hooks.size()); });
  bool untold = false;
  const SyncReport spared =
      sync_table(parts, id, ExternalWish(chains), {}, spare, &chains.digests(), untold);
  CHECK(spared.flushed);
  CHECK(jumps.empty());
  const SyncReport report = sync_parts(parts, id, chains);
  CHECK(report.verified);
  REQUIRE(jumps.size() > 2);
  CHECK(jumps.front() == 2);
  CHECK(std::ranges::count(jumps, 0u) == static_cast<std::ptrdiff_t>(jumps.size() - 1));
  CHECK(report.udp.after.all == all);  // nothing of it was obeyed
  CHECK(all_stands(id, all));
}

TEST_CASE("flows of UDP are told what parts take away, and at the end what all of them bring") {
  const TableId id = kNat[0];
  const Sandbox sandbox;
  if (!sandbox.usable()) return;
  const auto real = backend();
  const ExternalChains before = chains_of(services(id.family, 600), id.family);
  REQUIRE(sync_parts(*real.backend, id, before).verified);
  const ExternalChains after = chains_of(services(id.family, 600, true), id.family);
  InParts parts(*real.backend, [](const TablePlan&) {});
  UdpSide gone;
  (void)sync_parts(parts, id, ExternalWish(after), after.digests(), [&](const SyncReport& report) {
    gone.rules.insert(report.udp.before.rules.begin(), report.udp.before.rules.end());
    if (report.left) CHECK(report.udp.after.empty());
    if (!report.left) CHECK(report.udp.after.all == *after.of());
  });
  for (const auto& entry : before.of()->addresses.map()) {
    CHECK(gone.at(entry.first) == udp_rules_of(*before.of(), entry.first));
  }
}

TEST_CASE("when nothing is wished any more the jumps go first, then the chains in parts") {
  for (const TableId id : kNat) {
    CAPTURE(to_string(id));
    const Sandbox sandbox;
    if (!sandbox.usable()) return;
    const auto real = backend();
    const ExternalChains before = chains_of(services(id.family, 240), id.family);
    REQUIRE(sync_parts(*real.backend, id, before).verified);
    UdpSide gone;
    std::size_t commits = 0;
    std::size_t most = 0;
    InParts parts(*real.backend, [&](const TablePlan& plan) {
      ++commits;
      CHECK(reached_rules(id).empty());
      for (const ChainEdit& edit : plan.edits) CHECK_FALSE(edit.create);
      most = std::max(most, plan.edits.size());
    });
    const DesiredTable nothing;
    const SyncReport report =
        sync_parts(parts, id, WholeWish(nothing), digests_of(nothing), [&](const SyncReport& part) {
          gone.rules.insert(part.udp.before.rules.begin(), part.udp.before.rules.end());
          CHECK(part.udp.after.empty());
        });
    CHECK(report.verified);
    CHECK(commits > before.rules() / kRulesAtOnce);
    CHECK(most <= kRulesAtOnce / kLeafRules);
    CHECK(save(id, false).find("NMANAGER") == std::string::npos);
    for (const auto& entry : before.of()->addresses.map()) {
      CHECK(gone.at(entry.first) == udp_rules_of(*before.of(), entry.first));
    }
  }
}

TEST_CASE("flows to an address that only moves to another chain keep their rules") {
  const TableId id = kNat[0];
  const Sandbox sandbox;
  if (!sandbox.usable()) return;
  const auto real = backend();
  REQUIRE(sync_parts(*real.backend, id, chains_of(services(id.family, 600), id.family)).verified);
  const ExternalChains after = chains_of(services(id.family, 7), id.family);
  InParts parts(*real.backend, [](const TablePlan&) {});
  std::size_t told = 0;
  (void)sync_parts(parts, id, ExternalWish(after), after.digests(), [&](const SyncReport& part) {
    for (const UdpRule& rule : part.udp.before.rules) {
      const UdpRules now = udp_rules_of(*after.of(), rule.external);
      CHECK(part.udp.after.at(rule.external) == now);
      told += now.empty() ? 0 : 1;
    }
  });
  CHECK(told > 0);
}

TEST_CASE("what an earlier process left is read in parts; a jump does not wait for that") {
  const TableId id = kNat[0];
  const Sandbox sandbox;
  if (!sandbox.usable()) return;
  const ExternalCluster all = services(id.family, 600);
  const ExternalChains chains = chains_of(all, id.family);
  REQUIRE(sync_parts(*backend().backend, id, chains).verified);
  const auto next = backend();
  std::size_t jumps = 0;
  std::size_t edits = 0;
  InParts parts(*next.backend, [&](const TablePlan& plan) {
    jumps += plan.hooks.size();
    edits += plan.edits.size();
  });
  std::vector<std::optional<std::size_t>> left;
  SUBCASE("a missing jump") {
    must("iptables-nft -t nat -D PREROUTING -j NMANAGER_PREROUTING");
    const SyncReport last = sync_parts(parts, id, ExternalWish(chains), chains.digests(),
                                       [&](const SyncReport& report) {
                                         left.push_back(report.left);
                                         CHECK(jumps == 1);
                                         if (report.left) CHECK(report.udp.after.empty());
                                       });
    CHECK(last.verified);
    CHECK(last.udp.after.all == all);  // flows that began without the jump
    CHECK(edits == 0);
  }
  SUBCASE("nothing is wrong") {
    CHECK(sync_parts(parts, id, ExternalWish(chains), chains.digests(),
                     [&](const SyncReport& report) { left.push_back(report.left); })
              .udp.empty());
    CHECK(jumps + edits == 0);
  }
  CHECK(left.size() > 2);
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
  CHECK_THROWS_AS((void)sync_parts(interrupted, id, chains), Ended);
  const auto next = backend();
  std::size_t rules = 0;
  InParts rest(*next.backend, [&](const TablePlan& plan) { rules += inserts(plan); });
  REQUIRE(sync_parts(rest, id, chains).verified);
  CHECK(rules <= chains.rules() - 5 * kRulesAtOnce);
  CHECK(all_stands(id, services(id.family, 600)));
}

}  // namespace
}  // namespace nmanager::test
