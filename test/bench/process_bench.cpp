#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <stdexcept>
#include <thread>

#include "hooks/chains/sync.h"
#include "hooks/nftables/nftables_backend.h"
#include "test/api_server/api_server.h"
#include "test/bench/benches.h"
#include "test/bench/endpoint.h"
#include "test/bench/figure.h"
#include "test/bench/program.h"
#include "test/support/command.h"
#include "test/support/net_namespace.h"

namespace nmanager::bench {
using namespace nmanager::chains;
using namespace nmanager::nftables;

namespace {

void enter(const std::string& name) {
  const int fd = ::open(("/run/netns/" + name).c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0 || ::setns(fd, CLONE_NEWNET) != 0) throw std::runtime_error("namespace " + name);
  ::close(fd);
}

constexpr std::uint16_t kPort = 8080;

/// Accepts and closes connections in the namespace `where`, until destroyed.
class Acceptor {
 public:
  explicit Acceptor(const std::string& where) : fd_(-1), thread_([this, where] { run(where); }) {
    while (fd_ < 0) std::this_thread::yield();
  }
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;
  ~Acceptor() {
    ::shutdown(fd_, SHUT_RDWR);
    thread_.join();
    ::close(fd_);
  }

 private:
  void run(const std::string& where) {
    enter(where);
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in any = endpoint("0.0.0.0", kPort);
    if (::bind(fd, reinterpret_cast<const sockaddr*>(&any), sizeof any) != 0) return;
    ::listen(fd, 128);
    fd_ = fd;
    for (int client; (client = ::accept4(fd, nullptr, nullptr, SOCK_CLOEXEC)) >= 0;) {
      ::close(client);
    }
  }

  std::atomic<int> fd_;
  std::thread thread_;
};

/// The times of `count` connects from the namespace `from` to `address`, in microseconds.
std::vector<double> connects(const std::string& from, int count,
                             const char* address = "203.0.113.2") {
  std::vector<double> times;
  std::thread([&] {
    enter(from);
    const sockaddr_in where = endpoint(address, kPort);
    for (int i = 0; i < count; ++i) {
      const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      int refused = 0;
      times.push_back(micros([&] {
        refused = ::connect(fd, reinterpret_cast<const sockaddr*>(&where), sizeof where);
      }));
      if (refused != 0) throw std::runtime_error(std::string("no connection to ") + address);
      const linger at_once{1, 0};
      ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
      ::close(fd);
    }
  }).join();
  return times;
}

}  // namespace

void bench_idle(Variant variant) {
  const test::NetNamespace space;
  if (!space.usable()) return;
  test::must("ip link set lo up");
  reset_nat(variant);
  test::ApiServer server;
  for (int i = 0; i < 10'000; ++i) server.services().put(service(i));
  const Program program(server, "iptables-" + name_of(variant), "ipvs");
  if (!wait_for_services(10'000)) throw std::runtime_error("the Services have no rules");
  std::this_thread::sleep_for(std::chrono::seconds(30));  // until memory is returned to the system
  const double before = metric("process_cpu_seconds_total");
  std::this_thread::sleep_for(std::chrono::seconds(30));
  const double cpu = metric("process_cpu_seconds_total") - before;
  const std::string name = "idle " + name_of(variant);
  print_bound(name + ", Services with rules", 10'000 - metric("nmanager_services_with_rules"), 0,
              "missing");
  print_bound(name + ", resident", metric("process_resident_memory_bytes") / (1 << 20), 24, "MiB");
  print_bound(name + ", of a core", cpu / 30 * 100, 0.2, "%");
  print_bound(name + ", threads", metric("process_threads"), 7, "");
}

void bench_unneeded(const std::string& backend, const std::string& mode) {
  const test::NetNamespace space;
  if (!space.usable()) return;
  test::must("ip link set lo up");
  test::ApiServer server;
  const Program program(server, backend, mode);
  if (!wait_for_services(0)) throw std::runtime_error("the tables are not in sync");
  // Its share of a core while nothing changes, and while 100 Services a second change.
  double share[2] = {};
  for (const bool traffic : {false, true}) {
    const double before = metric("process_cpu_seconds_total");
    for (int i = 0; i < 3'000; ++i) {
      if (traffic) server.services().put(service(i % 500));
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    share[traffic] = (metric("process_cpu_seconds_total") - before) / 30 * 100;
  }
  const std::string name = "unneeded " + backend + ", " + mode + " mode";
  print_bound(name + ", requests", static_cast<double>(server.requests().size()), 0, "");
  print_bound(name + ", resident", metric("process_resident_memory_bytes") / (1 << 20), 14, "MiB");
  print_bound(name + ", of a core at rest", share[0], 0.2, "%");
  print_bound(name + ", more by traffic", share[1] - share[0], 0.05, "%");
}

namespace {

/// The external address of the figures: the last one in its leaf of the tree when all are there.
constexpr const char* kExternal = "198.18.0.15";
constexpr const char* kServer = "203.0.113.2";

struct Connection {
  const char* what;
  const char* address;
  std::uint16_t port;  // of the external address; 8080 is connected to
};

/// `services` external addresses, one of which is kExternal with `port`, for kServer.
Goal goal_of(int services, std::uint16_t port) {
  ExternalCluster cluster = our_services(services);
  ExternalAddress one{*Address::parse(kExternal), *Address::parse(kServer), "default/one", {}, {}};
  one.ports = {{Protocol::kTcp, port}};
  cluster.addresses.set(one.external, {one});
  return {kNat4, std::make_shared<const TableSpec>(std::move(cluster))};
}

/// A client and a server, with this namespace as the router between them.
class Route {
 public:
  Route() {
    for (const auto& [name, net] : {std::pair{client, "10.244.0"}, {server, "203.0.113"}}) {
      const std::string in = "ip -n " + name + " ";
      const std::string link = name.substr(name.size() - 1) + "0";
      test::must("ip netns add " + name + " && ip link add " + link +
                 " type veth peer name eth0 netns " + name + " && ip addr add " + net +
                 ".1/24 dev " + link + " && ip link set " + link + " up && " + in + "addr add " +
                 net + ".2/24 dev eth0 && " + in + "link set eth0 up && " + in +
                 "link set lo up && " + in + "route add default via " + net + ".1");
    }
    // Where a packet to the external address goes that no rule translates.
    test::must("sysctl -qw net.ipv4.ip_forward=1 && ip route add " + std::string(kExternal) +
               "/32 via " + kServer + " && ip -n " + server + " addr add " + kExternal +
               "/32 dev lo");
  }
  Route(const Route&) = delete;
  Route& operator=(const Route&) = delete;
  ~Route() { test::run("ip netns del " + client + "; ip netns del " + server); }

  const std::string client = "nmb" + std::to_string(::getpid()) + "c";
  const std::string server = "nmb" + std::to_string(::getpid()) + "s";
};

void connect_figures(const std::string& name, Backend& backend, int services) {
  const Route route;
  const Acceptor acceptor(route.server);
  for (const Connection& to : {Connection{"miss", kServer, 8080},
                               {"miss by port", kExternal, 80},
                               {"hit", kExternal, 8080}}) {
    std::vector<double> times[2];
    for (int round = 0; round < 6; ++round) {
      for (const bool big : {false, true}) {
        sync(backend, goal_of(big ? services : 0, to.port));
        connects(route.client, 300, to.address);  // fills the caches
        const auto some = connects(route.client, 2000, to.address);
        times[big].insert(times[big].end(), some.begin(), some.end());
      }
    }
    print_ratio("connect " + name + " " + std::to_string(services) + ", " + to.what,
                median(times[1]), "with one", median(times[0]), 1.1);
  }
}

}  // namespace

void bench_connect(Variant variant, int services) {
  const test::NetNamespace space;
  if (!space.usable()) return;
  reset_nat(variant);
  const Door door = open_door(variant);
  connect_figures(name_of(variant), *door.backend, services);
}

void bench_connect_native(int services) {
  const test::NetNamespace space;
  if (!space.usable()) return;
  const auto native = make_nftables_backend({});
  if (!native) throw std::runtime_error(native.error().message);
  connect_figures("nftables", *native->backend, services);
}

}  // namespace nmanager::bench
