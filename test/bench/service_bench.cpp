// One changed Service among many, from the event to the rule, compared with the kernel's time for
// the commit alone.
#include <stdexcept>

#include "hooks/chains/external_chains.h"
#include "hooks/chains/plan.h"
#include "hooks/chains/wish.h"
#include "hooks/nftables/nftables_backend.h"
#include "plugin/services/catalog.h"
#include "test/bench/benches.h"
#include "test/bench/figure.h"
#include "test/bench/tables.h"
#include "test/support/command.h"
#include "test/support/net_namespace.h"

namespace nmanager::bench {
using namespace nmanager::chains;

namespace {

Service service(int number, bool changed) {
  const auto address = [&](std::uint8_t a, std::uint8_t b) {
    const std::array<std::uint8_t, 4> bytes{a, b, static_cast<std::uint8_t>(number >> 8),
                                            static_cast<std::uint8_t>(number)};
    return Address(Family::kIpv4, bytes);
  };
  Service result;
  result.key = "default/service-" + std::to_string(number);
  result.type = ServiceType::kLoadBalancer;
  result.external_policy_local = true;
  result.cluster_ips = {address(10, changed ? 97 : 96)};
  result.ingress = {{address(198, 18), true}};
  result.ports = {{Protocol::kTcp, 80}, {Protocol::kTcp, 443}};
  return result;
}

/// The Services of a cluster, one of which changes and changes back.
class Cluster {
 public:
  explicit Cluster(int services) : number_(services / 2) {
    std::vector<Service> all;
    for (int i = 0; i < services; ++i) all.push_back(service(i, false));
    for (Service& one : all) catalog_.upsert(std::move(one));
    catalog_.settle();
  }

  void change() {
    changed_ = !changed_;
    catalog_.upsert(service(number_, changed_));
    catalog_.settle();
  }

  [[nodiscard]] ExternalCluster spec() const {
    ExternalClusterSettings settings;
    settings.pod_cidr = Prefix::parse("10.244.0.0/16");
    return {catalog_.addresses(Family::kIpv4), settings};
  }
  [[nodiscard]] Goal goal() const { return {kNat4, std::make_shared<const TableSpec>(spec())}; }

 private:
  int number_;
  bool changed_ = false;
  services::Catalog catalog_;
};

struct Times {
  std::vector<double> all;     // from the event to the end of the commit
  std::vector<double> commit;  // the commit's part of it
};

/// Like ChainBackend, with the commit timed separately.
Times change_chains(ChainBackend& backend, Cluster& cluster, int rounds) {
  ExternalChains chains(Family::kIpv4);
  chains.update(cluster.spec());
  Times times;
  for (int round = 0; round < rounds; ++round) {
    double commit = 0;
    times.all.push_back(micros([&] {
      cluster.change();
      chains.update(cluster.spec());
      auto begun = backend.begin_expecting(kNat4, chains.digests(), {});
      if (!begun) throw std::runtime_error(begun.error().message);
      const ObservedTable& observed = (*begun)->observed();
      const TablePlan plan = make_plan(kNat4, ExternalWish(chains).for_plan(observed), observed);
      if (plan.edits.empty()) throw std::runtime_error("nothing to change");
      commit = micros([&] {
        if (const auto done = (*begun)->commit(plan); !done) {
          throw std::runtime_error(done.error().message);
        }
      });
    }));
    times.commit.push_back(commit);
  }
  return times;
}

}  // namespace

void bench_service(Variant variant, int services) {
  const test::NetNamespace space;
  if (!space.usable()) return;
  reset_nat(variant);
  Door door = open_door(variant);
  Cluster cluster(services);
  const double fill = micros([&] { sync(*door.backend, cluster.goal()); });
  const std::string name = name_of(variant) + " " + std::to_string(services);
  std::printf("%-34s %10.1f ms\n", ("fill " + name).c_str(), fill / 1000);
  const Goal same = cluster.goal();
  std::vector<double> looks;
  for (int round = 0; round < 20; ++round) {
    looks.push_back(micros([&] { sync(*door.backend, same); }));
  }
  if (variant == Variant::kNft) print_bound("verify " + name, median(looks), 300, "us");
  const Times times = change_chains(*door.backend, cluster, 20);
  print_ratio("one Service " + name, median(times.all), "its commit", median(times.commit), 1.3);
}

void bench_service_native(int services) {
  const test::NetNamespace space;
  if (!space.usable()) return;
  auto native = nftables::make_nftables_backend({});
  if (!native) throw std::runtime_error(native.error().message);
  Cluster cluster(services);
  const std::string name = "nftables " + std::to_string(services);
  const double fill = micros([&] { sync(*native->backend, cluster.goal()); });
  std::printf("%-34s %10.1f ms\n", ("fill " + name).c_str(), fill / 1000);
  const Goal same = cluster.goal();
  std::vector<double> looks;
  std::vector<double> changes;
  for (int round = 0; round < 200; ++round) {
    looks.push_back(micros([&] { sync(*native->backend, same); }));
  }
  print_bound("verify " + name, median(looks), 300, "us");
  for (int round = 0; round < 200; ++round) {
    changes.push_back(micros([&] {
      cluster.change();
      sync(*native->backend, cluster.goal());
    }));
  }
  test::must("nft flush ruleset");
  print_ratio("one Service " + name, median(changes), "its commit",
              median(native_commits(services)), 1.3);
}

}  // namespace nmanager::bench
