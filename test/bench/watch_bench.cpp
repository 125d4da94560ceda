#include <poll.h>

#include <atomic>
#include <stdexcept>
#include <thread>

#include "hooks/chains/sync.h"
#include "test/bench/benches.h"
#include "test/bench/figure.h"
#include "test/support/command.h"
#include "test/support/net_namespace.h"

namespace nmanager::bench {
using namespace nmanager::chains;

namespace {

/// Watches and repairs like the owner thread, on its own thread in the namespace of the creating
/// thread.
class Keeper {
 public:
  Keeper(Variant variant, bool poll_only, DesiredTable desired)
      : desired_(std::move(desired)), thread_([this, variant, poll_only] {
          Door door = open_door(variant, poll_only);
          if (sync_table(*door.backend, kNat4, desired_, {}, {}).verified) ++repairs_;
          while (!stop_) turn(door);
        }) {
    while (repairs_ == 0) std::this_thread::yield();
  }
  ~Keeper() {
    stop_ = true;
    thread_.join();
  }
  Keeper(const Keeper&) = delete;
  Keeper& operator=(const Keeper&) = delete;

  [[nodiscard]] int repairs() const { return repairs_; }
  [[nodiscard]] Clock::time_point repaired_at() const { return repaired_at_; }

 private:
  void turn(Door& door) {
    pollfd ready{door.watch->fd(), POLLIN, 0};
    const auto wait = std::min<long>(door.watch->poll_interval().count(), 50);
    ::poll(&ready, 1, static_cast<int>(wait));
    if (door.watch->drain().empty()) return;
    if (!sync_table(*door.backend, kNat4, desired_, {}, {}).committed) return;
    repaired_at_ = Clock::now();
    ++repairs_;
  }

  const DesiredTable desired_;
  std::atomic<bool> stop_{false};
  std::atomic<int> repairs_{0};
  std::atomic<Clock::time_point> repaired_at_{};
  std::thread thread_;
};

}  // namespace

void bench_back(Variant variant) {
  const test::NetNamespace space;
  if (!space.usable()) return;
  const std::string iptables = "iptables-" + name_of(variant) + " -t nat ";
  reset_nat(variant);
  test::must(iptables + "-N KUBE-SERVICES");
  const Keeper keeper(variant, false, our_table(10));
  std::vector<double> times;
  for (int round = 0; round < 200; ++round) {
    const int before = keeper.repairs();
    // Like kube-proxy: it inserts its jump at the top.
    test::must(iptables + "-I PREROUTING -j KUBE-SERVICES");
    const auto end = Clock::now();
    while (keeper.repairs() == before && Clock::now() - end < std::chrono::seconds(5)) {
      std::this_thread::yield();
    }
    times.push_back(std::max(0.0, Micros(keeper.repaired_at() - end).count()) / 1000);
    test::must(iptables + "-D PREROUTING -j KUBE-SERVICES");
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  const bool legacy = variant == Variant::kLegacy;
  print_bound("back " + name_of(variant) + ", median", median(times), legacy ? 5 : 1, "ms");
  print_bound("back " + name_of(variant) + ", 99 %", quantile(times, 0.99), legacy ? 25 : 5, "ms");
}

void bench_listen() {
  const std::string text = kube_table(1000);
  std::vector<double> times[3];
  for (int round = 0; round < 15; ++round) {
    for (int mode = 0; mode < 3; ++mode) {
      const test::NetNamespace space;
      if (!space.usable()) return;
      reset_nat(Variant::kNft, text);
      std::optional<Keeper> keeper;
      if (mode != 0) keeper.emplace(Variant::kNft, mode == 2, our_table(10));
      times[mode].push_back(
          micros([&] { test::must("iptables-nft-restore --noflush --counters", text); }));
    }
  }
  // The fastest run of each: a disturbance only makes a run longer.
  const double without = quantile(times[0], 0);
  print_ratio("listen nft, events", quantile(times[1], 0), "no listener", without, 1.03);
  print_ratio("listen nft, poll", quantile(times[2], 0), "no listener", without, 1.01);
}

}  // namespace nmanager::bench
