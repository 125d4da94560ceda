#include <netinet/in.h>

// After <netinet/in.h>: in the other order their definitions conflict.
#include <linux/netfilter_ipv4/ip_tables.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <stdexcept>

#include "hooks/chains/sync.h"
#include "test/bench/benches.h"
#include "test/bench/figure.h"
#include "test/bench/tables.h"
#include "test/support/command.h"
#include "test/support/net_namespace.h"

namespace nmanager::bench {
using namespace nmanager::chains;

namespace {

void sync(ChainBackend& backend, const DesiredTable& desired,
          const ChainDigests* expected = nullptr) {
  const SyncReport report = sync_table(backend, kNat4, desired, {}, {}, expected);
  if (!report.verified) throw std::runtime_error(report.error->message);
}

/// The time of one IPT_SO_GET_ENTRIES of nat into new memory, which every reader needs.
double get_entries() {
  const int fd = ::socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
  ipt_getinfo info{};
  std::strcpy(info.name, "nat");
  socklen_t size = sizeof info;
  if (::getsockopt(fd, SOL_IP, IPT_SO_GET_INFO, &info, &size) != 0) {
    throw std::runtime_error("IPT_SO_GET_INFO");
  }
  const double time = micros([&] {
    const std::size_t length = sizeof(ipt_get_entries) + info.size;
    void* pages =
        ::mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    auto* request = static_cast<ipt_get_entries*>(pages);
    std::strcpy(request->name, "nat");
    request->size = info.size;
    auto wanted = static_cast<socklen_t>(length);
    if (::getsockopt(fd, SOL_IP, IPT_SO_GET_ENTRIES, pages, &wanted) != 0) {
      throw std::runtime_error("IPT_SO_GET_ENTRIES");
    }
    ::munmap(pages, length);
  });
  ::close(fd);
  return time;
}

/// The time of a commit of one jump in OUTPUT, in a transaction that has begun.
double insert_in_process(ChainBackend& backend) {
  auto begun = backend.begin(kNat4);
  if (!begun) throw std::runtime_error(begun.error().message);
  TablePlan plan;
  plan.id = kNat4;
  HookEdit edit;
  edit.hook = Hook::kOutput;
  edit.jump_to = *hook_chain(Table::kNat, Hook::kOutput);
  edit.insert = true;
  plan.hooks.push_back(edit);
  return micros([&] {
    if (const auto commit = (*begun)->commit(plan); !commit) {
      throw std::runtime_error(commit.error().message);
    }
  });
}

}  // namespace

void bench_fill(Variant variant) {
  const test::NetNamespace space;
  if (!space.usable()) return;
  const DesiredTable desired = our_table(1000);
  const std::string text = to_restore_text(make_plan(kNat4, desired, ObservedTable{}));
  std::vector<double> ours, theirs;
  for (int round = 0; round < 7; ++round) {
    reset_nat(variant);
    theirs.push_back(
        micros([&] { test::must("iptables-" + name_of(variant) + "-restore --noflush", text); }));
    reset_nat(variant);
    Door door = open_door(variant);
    ours.push_back(micros([&] { sync(*door.backend, desired); }));
  }
  print_ratio("fill " + name_of(variant), median(ours), "restore", median(theirs),
              variant == Variant::kLegacy ? 1.5 : 1.0);
}

void bench_big(Variant variant, int services) {
  const test::NetNamespace space;
  if (!space.usable()) return;
  const std::string size = name_of(variant) + " " + std::to_string(services);
  const std::string iptables = "iptables-" + name_of(variant) + " -t nat ";
  reset_nat(variant, kube_table(services));
  Door door = open_door(variant);
  const DesiredTable desired = our_table(100);
  const ChainDigests digests = digests_of(desired);
  sync(*door.backend, desired);
  sync(*door.backend, desired, &digests);
  std::vector<double> looks, entries, repairs, inserts;
  const int rounds = services > 1000 ? 7 : 25;
  for (int round = 0; round < rounds; ++round) {
    looks.push_back(micros([&] { sync(*door.backend, desired, &digests); }));
    if (variant == Variant::kLegacy) entries.push_back(get_entries());
  }
  for (int round = 0; round < rounds; ++round) {
    test::must(iptables + "-D PREROUTING -j NMANAGER_PREROUTING");
    repairs.push_back(micros([&] { sync(*door.backend, desired, &digests); }));
    if (variant == Variant::kLegacy) {
      inserts.push_back(micros([&] { test::must(iptables + "-I OUTPUT -j NMANAGER_OUTPUT"); }));
    } else {
      // Under the same conditions: a process has just deleted a rule and closed its socket.
      test::must(iptables + "-D PREROUTING -j NMANAGER_PREROUTING");
      inserts.push_back(insert_in_process(*door.backend));
    }
    sync(*door.backend, desired, &digests);  // removes the second jump
  }
  if (variant == Variant::kLegacy) {
    print_ratio("verify " + size, median(looks), "GET_ENTRIES", median(entries), 1.2);
    print_ratio("repair " + size, median(repairs), "iptables -I", median(inserts), 1.3);
  } else {
    print_bound("verify " + size, median(looks), 200, "us");
    print_ratio("repair " + size, median(repairs), "one insert", median(inserts), 1.5);
  }
}

void bench_change(Variant variant) {
  const test::NetNamespace space;
  if (!space.usable()) return;
  const std::string insert = "iptables-" + name_of(variant) + " -t nat -I OUTPUT -j ACCEPT";
  std::vector<double> times, inserts;
  reset_nat(variant);
  Door door = open_door(variant);
  const DesiredTable states[] = {our_table(10'000), our_table(10'000, true)};
  const ChainDigests digests[] = {digests_of(states[0]), digests_of(states[1])};
  sync(*door.backend, states[0]);
  sync(*door.backend, states[0], &digests[0]);
  for (int round = 1; round < 16; ++round) {
    const int state = round % 2;
    times.push_back(micros([&] { sync(*door.backend, states[state], &digests[state]); }));
    // The kernel validates the whole table for any rule (legacy: it replaces the whole table).
    inserts.push_back(micros([&] { test::must(insert); }));
  }
  print_ratio("change " + name_of(variant) + " 1 of 10,000", median(times), "iptables -I",
              median(inserts), 1.3);
}

}  // namespace nmanager::bench
