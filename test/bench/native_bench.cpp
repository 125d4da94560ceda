#include <algorithm>
#include <iterator>
#include <stdexcept>

#include "hooks/netlink/batch.h"
#include "hooks/netlink/socket.h"
#include "hooks/nftables/nftables_backend.h"
#include "hooks/nftables/write.h"
#include "test/bench/benches.h"
#include "test/bench/figure.h"
#include "test/bench/tables.h"
#include "test/support/command.h"
#include "test/support/net_namespace.h"

namespace nmanager::bench {
using namespace nmanager::chains;
using namespace nmanager::netlink;
using namespace nmanager::nftables;

namespace {

constexpr int kMany = 10'000;

Goal goal_of(ExternalCluster services) {
  return {kNat4, std::make_shared<const TableSpec>(std::move(services))};
}

NftablesBackend open_native() {
  auto made = make_nftables_backend({});
  if (!made) throw std::runtime_error(made.error().message);
  return std::move(*made);
}

constexpr nftables::SetId kCluster{Family::kIpv4, nftables::SetKind::kCluster, MatchBy::kPort};

nftables::Elements cluster_elements(ExternalCluster services) {
  return *nftables::render(kNat4, std::move(services)).sets.at(kCluster);
}

std::vector<Step> change(const nftables::Elements& from, const nftables::Elements& to) {
  nftables::Elements more;
  nftables::Elements less;
  std::ranges::set_difference(to, from, std::back_inserter(more));
  std::ranges::set_difference(from, to, std::back_inserter(less));
  const auto step = [](Verb verb, nftables::Elements& elements) {
    return Step{verb,
                ElementsObject{kCluster, std::make_shared<const nftables::Elements>(elements)}};
  };
  return {step(Verb::kDelete, less), step(Verb::kAdd, more)};
}

}  // namespace

/// Changes the cluster address of one Service and restores it.
std::vector<double> native_commits(int services) {
  const NftablesBackend native = open_native();
  sync(*native.backend, goal_of(our_services(services)));
  const auto before = cluster_elements(our_services(services));
  const auto after = cluster_elements(our_services(services, true));
  const std::vector<Step> there = change(before, after);
  const std::vector<Step> back = change(after, before);
  Netlink netlink;
  std::vector<double> times;
  for (int round = 1; round < 200; ++round) {
    const auto generation = netlink.generation();
    if (!generation) throw std::runtime_error(generation.error().message);
    Batch batch(*generation);
    StepWriter writer(batch);
    for (const Step& step : round % 2 == 1 ? there : back) writer.write(step);
    batch.finish();
    times.push_back(micros([&] {
      const auto errors = netlink.send(batch);
      if (!errors || !errors->empty()) throw std::runtime_error("the kernel refused a change");
    }));
  }
  return times;
}

void bench_fill_native() {
  const test::NetNamespace space;
  if (!space.usable()) return;
  const Goal goal = goal_of(our_services(kMany));
  const std::string text = open_native().backend->plan_text(std::span(&goal, 1)).text;
  std::vector<double> ours, theirs;
  for (int round = 0; round < 7; ++round) {
    test::must("nft flush ruleset");
    theirs.push_back(micros([&] { test::must("nft -f -", text); }));
    test::must("nft flush ruleset");
    const NftablesBackend native = open_native();
    ours.push_back(micros([&] { sync(*native.backend, goal); }));
  }
  print_ratio("fill nftables 10,000", median(ours), "nft -f", median(theirs), 1.0);
}

void bench_change_native() {
  const test::NetNamespace space;
  if (!space.usable()) return;
  const std::vector<double> few = native_commits(10);
  test::must("nft flush ruleset");
  const std::vector<double> many = native_commits(kMany);
  print_ratio("change nftables 1 of 10,000", median(many), "1 of 10", median(few), 1.5);
  print_bound("change nftables 1 of 10,000", median(many), 1000, "us");
  const NftablesBackend native = open_native();
  const Goal goal = goal_of(our_services(kMany));
  sync(*native.backend, goal);
  sync(*native.backend, goal);
  std::vector<double> looks;
  for (int round = 0; round < 200; ++round) {
    looks.push_back(micros([&] { sync(*native.backend, goal); }));
  }
  print_bound("verify nftables 10,000", median(looks), 200, "us");
}

}  // namespace nmanager::bench
