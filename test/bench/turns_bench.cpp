// How long the owner thread is busy in one turn: nothing else of it (repairs, the end of the
// process) happens meanwhile.
#include <algorithm>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "hooks/chains/rule_text.h"
#include "test/bench/benches.h"
#include "test/bench/figure.h"
#include "test/bench/program.h"
#include "test/bench/turn_trace.h"
#include "test/support/command.h"
#include "test/support/net_namespace.h"

namespace nmanager::bench {

namespace {

using namespace std::chrono_literals;

constexpr double kLongest = 50;  // milliseconds

bool changes_wait() {
  return ask_endpoint("/readyz?verbose").find("changes waiting") != std::string::npos;
}

/// Until `done`, then until nothing is left to write and nothing was looked at for a second: more
/// may be found to do.
void await(const std::function<bool()>& done) {
  const auto until = Clock::now() + 10min;
  double syncs = -1;
  auto quiet_since = Clock::now();
  while (Clock::now() < quiet_since + 1s) {
    const double now = metric("nmanager_table_syncs_total");
    const bool ended = done() && !changes_wait() && metric("nmanager_table_in_sync") >= 4;
    if (!ended || now != syncs) quiet_since = Clock::now();
    syncs = now;
    if (Clock::now() > until) throw std::runtime_error("not within ten minutes");
    std::this_thread::sleep_for(20ms);
  }
}

/// `work` makes the metric grow.
void await_more(const std::string& name, const std::function<void()>& work) {
  const double before = metric(name);
  work();
  await([&] { return metric(name) > before; });
}

std::string name_of(Kind kind) {
  return kind == Kind::kTcp4 ? "ip" : kind == Kind::kUdp6 ? "ip6" : "both";
}

/// Somebody else's doing to the tables that hold our rules.
struct Havoc {
  std::vector<std::string> flush;
  std::vector<std::string> remove;  // the table, or where there is no such command, its chains
};

Havoc havoc_of(const std::string& backend, Kind kind) {
  Havoc havoc;
  if (backend == "nftables")
    return {{"nft flush table inet nmanager"}, {"nft delete table inet nmanager"}};
  for (const Family family : kFamilies) {
    if (kind == Kind::kTcp4 && family == Family::kIpv6) continue;
    if (kind == Kind::kUdp6 && family == Family::kIpv4) continue;
    if (backend == "iptables-legacy") {
      const std::string tool = std::string(chains::iptables_command(family)) + "-legacy -t nat ";
      havoc.flush.push_back(tool + "-F");
      havoc.remove.push_back(tool + "-F; " + tool + "-X || true");  // a repair may come between
    } else {
      const std::string table = family == Family::kIpv4 ? "ip nat" : "ip6 nat";
      havoc.flush.push_back("nft flush table " + table);
      havoc.remove.push_back("nft delete table " + table);
    }
  }
  return havoc;
}

/// The longest turn of a program during what is done to it.
class Turns {
 public:
  Turns(const Program& program, std::string name)
      : name_("turn " + std::move(name) + ", "), trace_(program.pid()) {}

  void longest(const std::string& what, const std::function<void()>& work) {
    (void)trace_.take();
    work();
    Turn worst;
    for (const Turn& turn : trace_.take()) {
      if (turn.own > worst.own) worst = turn;
    }
    print_bound(name_ + what, worst.own / 1000, kLongest, "ms");
    std::printf("%36s and %.2f ms in system calls\n", "", worst.kernel / 1000);
  }

 private:
  std::string name_;
  TurnTrace trace_;
};

}  // namespace

void bench_turns(const std::string& backend, int services, Kind kind) {
  const test::NetNamespace space;
  if (!space.usable()) return;
  test::must("ip link set lo up");
  test::ApiServer server;
  for (int i = 0; i < services; ++i) server.services().put(service(i, 0, kind));
  const auto cut_off = [&] {
    server.fail_next({.kind = test::Fault::Kind::kClose, .on = test::Fault::On::kAny, .times = 0});
  };
  cut_off();
  const auto begin = Clock::now();
  std::optional<Program> program(std::in_place, server, backend, "ipvs");
  const std::string name = backend + " " + name_of(kind) + " " + std::to_string(services);
  std::optional<Turns> turns(std::in_place, *program, name);
  const auto longest = [&](const std::string& what, const std::function<void()>& work) {
    turns->longest(what, work);
  };
  const Havoc havoc = havoc_of(backend, kind);
  const auto wreak = [](const std::vector<std::string>& commands) {
    for (const std::string& command : commands) test::must(command);
  };
  const auto rules_for = [](int count) {
    await([=] { return metric("nmanager_services_with_rules") >= count; });
  };
  const auto list = [&] {
    server.clear_faults();
    rules_for(services);
  };
  longest("first list", list);
  cut_off();
  turns.reset();
  program.reset();
  program.emplace(server, backend, "ipvs");
  turns.emplace(*program, name);
  longest("restart", list);
  longest("one change", [&] {
    await_more("nmanager_api_events_total", [&] { server.services().put(service(0, 1, kind)); });
  });
  longest("relist", [&] {
    await_more("nmanager_api_lists_total", [&] {
      server.services().compact();
      server.end_watches();
    });
  });
  longest("flush",
          [&] { await_more("nmanager_table_repairs_total", [&] { wreak(havoc.flush); }); });
  longest("table deleted",
          [&] { await_more("nmanager_table_repairs_total", [&] { wreak(havoc.remove); }); });
  longest("other pods", [&] {
    await_more("nmanager_table_syncs_total",
               [&] { program->configure("ipvs", "10.240.0.0/12,fd40::/12"); });
  });
  longest("not IPVS any more", [&] {
    program->configure("iptables");
    await([] { return metric("nmanager_services_with_rules") == 0; });
  });
  longest("IPVS again", [&] {
    program->configure("ipvs");
    rules_for(services);
  });
  longest("relist, half changed", [&] {
    await_more("nmanager_api_lists_total", [&] {
      server.fail_next(
          {.kind = test::Fault::Kind::kClose, .on = test::Fault::On::kWatch, .times = 0});
      server.end_watches();
      for (int i = 0; i < services; i += 2) server.services().put(service(i, 2, kind));
      server.services().compact();
      server.clear_faults();
    });
  });
  longest("relist, half removed", [&] {
    await_more("nmanager_api_lists_total", [&] {
      server.fail_next(
          {.kind = test::Fault::Kind::kClose, .on = test::Fault::On::kWatch, .times = 0});
      server.end_watches();
      for (int i = 0; i < services; i += 2) {
        server.services().remove("default/service-" + std::to_string(i));
      }
      server.services().compact();
      server.clear_faults();
    });
  });
  longest("five minutes", [&] { std::this_thread::sleep_until(begin + 320s); });
}

void bench_moves(int services) {
  const test::NetNamespace space;
  if (!space.usable()) return;
  test::must("ip link set lo up");
  const auto kube_proxy_in = [](const std::string& variant, const std::string& verb) {
    test::must("iptables-" + variant + " -t nat " + verb + " KUBE-SERVICES");
  };
  kube_proxy_in("nft", "-N");
  test::must("ip link add kube-ipvs0 type veth");
  test::ApiServer server;
  for (int i = 0; i < services; ++i) server.services().put(service(i, 0, Kind::kTcpBoth));
  const Program program(server, "auto", "ipvs");
  Turns turns(program, "auto " + std::to_string(services));
  const auto in_use = [](const std::string& backend) {
    return ask_endpoint("/readyz?verbose").find("backend ok: " + backend) != std::string::npos;
  };
  const auto moved = [&](const std::string& backend, int with_rules) {
    await([&] { return in_use(backend) && metric("nmanager_services_with_rules") == with_rules; });
    std::this_thread::sleep_for(5s);  // what stands in the others is removed
  };
  moved("iptables-nft", services);
  turns.longest("to iptables-legacy", [&] {
    kube_proxy_in("legacy", "-N");
    kube_proxy_in("nft", "-X");
    moved("iptables-legacy", services);
  });
  turns.longest("to iptables-nft", [&] {
    kube_proxy_in("nft", "-N");
    kube_proxy_in("legacy", "-X");
    moved("iptables-nft", services);
  });
  turns.longest("to nftables", [&] {
    program.configure("nftables");
    test::must("ip link delete kube-ipvs0");
    kube_proxy_in("nft", "-X");
    test::must("nft 'add table ip kube-proxy; add chain ip kube-proxy services'");
    moved("nftables", 0);
  });
  turns.longest("to iptables-nft again", [&] {
    program.configure("ipvs");
    test::must("nft delete table ip kube-proxy");
    test::must("ip link add kube-ipvs0 type veth");
    kube_proxy_in("nft", "-N");
    moved("iptables-nft", services);
  });
}

}  // namespace nmanager::bench
